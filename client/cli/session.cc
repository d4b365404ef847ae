#include "client/cli/session.h"

#include "absl/strings/cord.h"

namespace bif::client {
namespace {
constexpr char kUsagePayload[] = "bifctl/usage";
}

absl::Status UsageError(const std::string& message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

}  // namespace bif::client
