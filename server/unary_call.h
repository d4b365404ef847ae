// Answers a call that takes one message and gives one.
//
//   return StartUnary(runtime_, context, "bif.v1.Checkpoints/GetProgram", request, response,
//                     [=, this](const Caller&) {
//     return Fill(checkpoints_.GetProgram(request->name()), response, ToProto);
//   });
//
// `work` runs on the pool of short calls, once the caller is known and may do this; names in the
// request are then the jobs' own, and those in the answer are turned back. Request and response
// live until it has returned. The call always ends: with the work's status, or with that of whoever
// did not let it in.
#pragma once

#include <functional>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "server/call_runtime.h"

namespace grpc {
class CallbackServerContext;
class ServerUnaryReactor;
}  // namespace grpc

namespace bif::server {

grpc::ServerUnaryReactor* StartUnaryCall(CallRuntime& runtime, grpc::CallbackServerContext* context,
                                         std::string method, google::protobuf::Message* request,
                                         google::protobuf::Message* response,
                                         std::function<absl::Status(const Caller&)> work);

template <typename Request, typename Response>
grpc::ServerUnaryReactor* StartUnary(CallRuntime& runtime, grpc::CallbackServerContext* context,
                                     std::string method, const Request* request, Response* response,
                                     std::function<absl::Status(const Caller&)> work) {
  // gRPC made the request for this call alone; it is const only for handlers.
  return StartUnaryCall(runtime, context, std::move(method), const_cast<Request*>(request),
                        response, std::move(work));
}

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
