// Answers a call that takes one message and gives one.
//
//   return StartUnary(runtime_, "bif.v1.Checkpoints/GetProgram", [=, this] {
//     return Fill(checkpoints_.GetProgram(request->name()), response, ToProto);
//   });
//
// `work` runs on the pool of short calls; request and response live until it has returned. The call
// always ends: with the work's status, or with RESOURCE_EXHAUSTED or UNAVAILABLE if the work could
// not be started.
#pragma once

#include <functional>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/call_runtime.h"

namespace grpc {
class ServerUnaryReactor;
}

namespace bif::server {

grpc::ServerUnaryReactor* StartUnary(CallRuntime& runtime, std::string method,
                                     std::function<absl::Status()> work);

// Fill(value, response, ToProto): converts the value, or gives its error.
template <typename Value, typename Response>
absl::Status Fill(const absl::StatusOr<Value>& value, Response* response,
                  void (*convert)(const std::type_identity_t<Value>&,
                                  std::type_identity_t<Response>*)) {
  if (!value.ok()) return value.status();
  convert(*value, response);
  return absl::OkStatus();
}

}  // namespace bif::server
