#include "server/errors.h"

#include <algorithm>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/rpc/error_details.pb.h"
#include "server/tenant_names.h"
#include "src/base/retry_after.h"
#include "src/base/status.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

constexpr size_t kMaxMessageBytes = 1024;

// The text with every byte that is not part of valid UTF-8 replaced by '?', cut at a character's
// end.
std::string SafeText(absl::string_view text) {
  std::string safe;
  for (size_t i = 0; i < text.size() && safe.size() < kMaxMessageBytes;) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    bool valid = length != 0 && i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k) {
      valid = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    }
    if (valid) {
      safe.append(text.data() + i, length);
      i += length;
    } else {
      safe += '?';
      ++i;
    }
  }
  return safe;
}

std::string NewIncidentId() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return absl::StrFormat("%016x", generator());
}

}  // namespace

absl::Duration RetryDelay(const absl::Status& status) {
  const std::string reason = Reason(status).value_or("");
  const std::optional<absl::Duration> observed = RetryAfter(status);
  if (reason.ends_with("_TOO_LARGE") || reason == "DEVICE_MEMORY") return absl::ZeroDuration();
  if (observed) return *observed;
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return absl::Seconds(1);
    case absl::StatusCode::kResourceExhausted:
      return absl::Seconds(5);
    case absl::StatusCode::kAborted:
      return absl::Milliseconds(200);
    default:
      return absl::ZeroDuration();
  }
}

std::string DefaultReason(absl::StatusCode code) {
  if (code == absl::StatusCode::kInvalidArgument) return "INVALID_FIELD";
  return absl::StatusCodeToString(code);
}

google::rpc::Status ToRpcStatus(const absl::Status& status, const std::string& method) {
  google::rpc::Status rpc;
  if (status.ok()) return rpc;
  const bool incident =
      status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown;
  const absl::StatusCode code = incident ? absl::StatusCode::kInternal : status.code();
  rpc.set_code(static_cast<int>(code));
  rpc.set_message(SafeText(status.message()));

  google::rpc::ErrorInfo info;
  info.set_reason(Reason(status).value_or(DefaultReason(code)));
  info.set_domain(kErrorDomain);
  if (incident) {
    const std::string id = NewIncidentId();
    (*info.mutable_metadata())["incident"] = id;
    rpc.set_message(absl::StrCat("incident ", id, ": ", rpc.message()));
    observe::LogError(
        "incident",
        {{"incident", id}, {"method", method}, {"error", std::string(status.message())}});
  }
  rpc.add_details()->PackFrom(info);

  if (std::optional<std::string> path = FieldPath(status); path.has_value()) {
    google::rpc::BadRequest bad;
    google::rpc::BadRequest::FieldViolation* violation = bad.add_field_violations();
    violation->set_field(SafeText(*path));
    violation->set_description(rpc.message());
    rpc.add_details()->PackFrom(bad);
  }
  if (const absl::Duration delay = RetryDelay(status); delay > absl::ZeroDuration()) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(delay));
    retry.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(delay % absl::Seconds(1))));
    rpc.add_details()->PackFrom(retry);
  }
  return rpc;
}

grpc::Status ToGrpcStatus(const absl::Status& status, const std::string& method) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status, method);
  return grpc::Status(static_cast<grpc::StatusCode>(rpc.code()), rpc.message(),
                      rpc.SerializeAsString());
}

grpc::Status ToGrpcStatus(const absl::Status& status, const std::string& method,
                          const std::string& tenant) {
  if (status.ok()) return grpc::Status::OK;
  absl::Status told(status.code(), UnqualifyText(tenant, std::string(status.message())));
  status.ForEachPayload([&told](absl::string_view type, const absl::Cord& payload) {
    told.SetPayload(type, payload);
  });
  return ToGrpcStatus(told, method);
}

}  // namespace bif::server
