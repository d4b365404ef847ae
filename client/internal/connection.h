// The channel of a Client and the loop around every call: deadline, attempts, waiting. Only for
// client/*.cc.
#pragma once

#include <functional>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace bif::client {

enum class Repeatable { kNo, kYes };

// Thread-safe: nothing in it changes after construction.
struct Connection {
  ClientOptions options;
  std::shared_ptr<grpc::Channel> channel;
  absl::Status usable;  // else why no call can be made: a file of options.tls

  // Makes attempts until one succeeds, the retry policy gives up, or `budget` is over. An attempt
  // sets up no deadline itself; it returns what FromGrpc made of the call, or an error of its own,
  // which is not repeated unless UNAVAILABLE. `repeatable` is read after each attempt, which may
  // change it.
  absl::Status Call(absl::Duration budget, const Repeatable& repeatable,
                    absl::FunctionRef<absl::Status(grpc::ClientContext&)> attempt) const;

  // Deadline and token: of every call, whoever makes it.
  void Prepare(grpc::ClientContext& context, absl::Time deadline) const;

  // Waits as the retry policy says after `attempts` failed ones. False: give `status` to the
  // caller.
  bool WaitBeforeRetry(const absl::Status& status, Repeatable repeatable, int attempts,
                       absl::Time deadline) const;
};

absl::Status FromGrpc(const grpc::Status& status);

// One request, one answer, within the call deadline or another `budget`:
//   UnaryCall<v1::Datasets>(connection, Repeatable::kYes, &v1::Datasets::Stub::GetDataset, request)
template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> UnaryCall(const Connection& connection, Repeatable repeatable,
                                   grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                         const Request&, Response*),
                                   const Request& request, absl::Duration budget) {
  Response response;
  absl::Status status =
      connection.Call(budget, repeatable, [&](grpc::ClientContext& context) -> absl::Status {
        response.Clear();
        auto stub = Service::NewStub(connection.channel);
        return FromGrpc((stub.get()->*method)(&context, request, &response));
      });
  if (!status.ok()) return status;
  return response;
}

template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> UnaryCall(const Connection& connection, Repeatable repeatable,
                                   grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                         const Request&, Response*),
                                   const Request& request) {
  return UnaryCall<Service, Request, Response>(connection, repeatable, method, request,
                                               connection.options.call_deadline);
}

// A request that has nothing but a resource's name.
template <typename Request>
Request Named(const std::string& name) {
  Request request;
  request.set_name(name);
  return request;
}

// Reads a server stream to its end. An error of `use` cancels the call and is returned.
template <typename Response, typename Reader>
absl::Status ReadAll(grpc::ClientContext& context, Reader& reader,
                     absl::FunctionRef<absl::Status(const Response&)> use) {
  Response message;
  while (reader.Read(&message)) {
    absl::Status used = use(message);
    if (!used.ok()) {
      context.TryCancel();
      (void)reader.Finish();
      return used;
    }
    message.Clear();
  }
  return FromGrpc(reader.Finish());
}

}  // namespace bif::client
