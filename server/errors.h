// From absl::Status to what a client sees: a google.rpc.Status with machine-readable details, in
// the trailer of the call.
//
//   every error        ErrorInfo{reason, domain "bif.dev", metadata}; the reason is that of
//   WithReason, or follows the code FieldError         BadRequest.field_violations with the field's
//   path may be retried     RetryInfo with a delay: UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED
//   INTERNAL, UNKNOWN  INTERNAL with ErrorInfo.metadata["incident"]; the incident's id is in the
//   server's log beside the
//                      whole message
//
// Pure functions but for the log; thread-safe.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"

namespace bif::server {

inline constexpr char kErrorDomain[] = "bif.dev";

// How long a client had better wait before it asks again; zero for what no retry mends, and that
// includes what is too large in itself (reasons that end in _TOO_LARGE, and DEVICE_MEMORY).
absl::Duration RetryDelay(const absl::Status& status);

// The reason for an error that carries none of its own: "INVALID_FIELD", "NOT_FOUND", ...
std::string DefaultReason(absl::StatusCode code);

// `method` names the call ("bif.v1.Posteriors/GetPosterior") in the log line of an incident.
// Messages are cut at 1 KiB and made valid UTF-8, so that the trailer stays below gRPC's limit for
// metadata.
google::rpc::Status ToRpcStatus(const absl::Status& status, const std::string& method);
grpc::Status ToGrpcStatus(const absl::Status& status, const std::string& method);
// With the names in its texts as `tenant` uses them.
grpc::Status ToGrpcStatus(const absl::Status& status, const std::string& method,
                          const std::string& tenant);

}  // namespace bif::server
