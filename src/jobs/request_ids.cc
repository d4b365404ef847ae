#include "src/jobs/request_ids.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::jobs {

constexpr size_t kMaxRequestIdBytes = 128;

absl::StatusOr<std::optional<std::string>> RequestIds::Find(const RequestId& request,
                                                            const Digest& body) {
  if (request.id.empty()) return std::nullopt;
  if (request.id.size() > kMaxRequestIdBytes) {
    return FieldError("request_id",
                      absl::StrCat("must have at most ", kMaxRequestIdBytes, " bytes"));
  }
  auto record =
      catalog_.Get<storage::pb::RequestIdRecord>(storage::RequestIdKey(request.tenant, request.id));
  if (absl::IsNotFound(record.status())) return std::nullopt;
  if (!record.ok()) return record.status();
  if (record->body_digest() != ToHex(body)) {
    return FieldError("request_id",
                      absl::StrCat("\"", request.id, "\" was used before with another request"));
  }
  return record->result();
}

void RequestIds::Remember(const RequestId& request, const Digest& body, const std::string& result,
                          absl::Time now, storage::WriteSet& writes) {
  if (request.id.empty()) return;
  storage::pb::RequestIdRecord record;
  record.set_body_digest(ToHex(body));
  record.set_result(result);
  record.set_create_time_unix_micros(absl::ToUnixMicros(now));
  writes.Put(storage::RequestIdKey(request.tenant, request.id), record);
}

}  // namespace bif::jobs
