// Makes creating calls safe to repeat: the same request id with the same body answers with the
// first call's result, with another body it is INVALID_ARGUMENT. Thread-safe; but two calls with
// one id at the same time are kept apart by the caller's own lock, held from Find to the commit of
// Remember's writes.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "src/base/digest.h"
#include "src/jobs/tenant.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

struct RequestId {
  std::string tenant = kDefaultTenant;  // who asks
  std::string id;                       // empty: the call is not idempotent. At most 128 bytes
};

class RequestIds {
 public:
  explicit RequestIds(storage::Catalog& catalog) : catalog_(catalog) {}

  // The result of the call that had this id before; nullopt if there was none. `body` is a digest
  // over all arguments.
  absl::StatusOr<std::optional<std::string>> Find(const RequestId& request, const Digest& body);
  // Adds the record to `writes`, to be committed with what the call makes.
  void Remember(const RequestId& request, const Digest& body, const std::string& result,
                absl::Time now, storage::WriteSet& writes);

 private:
  storage::Catalog& catalog_;
};

}  // namespace bif::jobs
