// What the server says when something goes wrong, decoded.
//
// Every absl::Status from bif::client carries the server's google.rpc error details as payloads,
// one per type URL. These functions read them; none of them fails, unknown or damaged details are
// left out. Thread-safe: pure functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace google::rpc {
class Status;
}

namespace bif::client {

struct FieldViolation {
  std::string field;  // path in the request, e.g. settings.nbeta
  std::string description;
};

struct ErrorDetails {
  std::string reason;  // UPPER_SNAKE_CASE, from ErrorInfo; empty if none
  std::string domain;
  std::map<std::string, std::string> metadata;
  std::vector<FieldViolation> field_violations;
  std::optional<absl::Duration> retry_delay;  // from RetryInfo: the call may be repeated after it
};

// The google.rpc.Status of an RPC or of a failed operation, with its details as payloads.
absl::Status StatusFromRpc(const google::rpc::Status& status);

ErrorDetails DetailsOf(const absl::Status& status);

// One sentence for a person: what is wrong, the field at fault, the reason, and when to try again.
// For instance
//   invalid argument: settings.nbeta: must be above 0, is -1 [BAD_FIELD]
std::string DescribeError(const absl::Status& status);

}  // namespace bif::client
