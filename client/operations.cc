// Client: long-running operations.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bif/v1/operations.grpc.pb.h"
#include "client/client.h"
#include "client/internal/connection.h"
#include "client/status_macros.h"
#include "google/longrunning/operations_proto.grpc.pb.h"

namespace bif::client {
namespace {

using google::longrunning::Operation;
using google::longrunning::Operations;

// A single WaitOperation asks for no more, so that a silent connection is noticed.
constexpr absl::Duration kLongestWait = absl::Seconds(30);

}  // namespace

absl::StatusOr<Operation> Client::GetOperation(const std::string& name) {
  return UnaryCall<Operations>(*connection_, Repeatable::kYes, &Operations::Stub::GetOperation,
                               Named<google::longrunning::GetOperationRequest>(name));
}

absl::StatusOr<google::longrunning::ListOperationsResponse> Client::ListOperations(
    const google::longrunning::ListOperationsRequest& request) {
  return UnaryCall<Operations>(*connection_, Repeatable::kYes, &Operations::Stub::ListOperations,
                               request);
}

absl::StatusOr<Operation> Client::WaitOperation(const std::string& name, absl::Duration timeout) {
  const absl::Time end = absl::Now() + timeout;
  while (true) {
    const absl::Duration left = std::max(absl::ZeroDuration(), end - absl::Now());
    const absl::Duration wait = std::min(left, kLongestWait);
    auto request = Named<google::longrunning::WaitOperationRequest>(name);
    request.mutable_timeout()->set_seconds(absl::ToInt64Seconds(wait));
    request.mutable_timeout()->set_nanos(
        absl::ToInt64Nanoseconds(wait - absl::Seconds(request.timeout().seconds())));
    CLIENT_ASSIGN_OR_RETURN(
        Operation operation,
        UnaryCall<Operations>(*connection_, Repeatable::kYes, &Operations::Stub::WaitOperation,
                              request, wait + connection_->options.call_deadline));
    if (operation.done() || absl::Now() >= end) return operation;
  }
}

absl::Status Client::CancelOperation(const std::string& name) {
  return UnaryCall<Operations>(*connection_, Repeatable::kYes, &Operations::Stub::CancelOperation,
                               Named<google::longrunning::CancelOperationRequest>(name))
      .status();
}

absl::Status Client::DeleteOperation(const std::string& name) {
  return UnaryCall<Operations>(*connection_, Repeatable::kNo, &Operations::Stub::DeleteOperation,
                               Named<google::longrunning::DeleteOperationRequest>(name))
      .status();
}

absl::StatusOr<Operation> Client::WatchOperation(
    const std::string& name, uint64_t after_sequence,
    const std::function<void(const v1::WatchOperationResponse&)>& update) {
  if (!connection_->usable.ok()) return connection_->usable;
  const absl::Time deadline = absl::Now() + connection_->options.stream_deadline;
  v1::WatchOperationRequest request;
  request.set_name(name);
  request.set_after_sequence(after_sequence);
  Operation latest;
  for (int attempts = 1;; ++attempts) {
    grpc::ClientContext context;
    connection_->Prepare(context, deadline);
    auto stub = v1::OperationWatcher::NewStub(connection_->channel);
    auto reader = stub->WatchOperation(&context, request);
    absl::Status status = ReadAll<v1::WatchOperationResponse>(
        context, *reader, [&](const v1::WatchOperationResponse& change) {
          // A server that resumes a little early must not make the caller hear a change twice; an
          // operation that is done has no later change and is always taken.
          const bool seen = change.sequence() <= request.after_sequence();
          if (seen && !change.operation().done()) return absl::OkStatus();
          latest = change.operation();
          if (!seen) {
            request.set_after_sequence(change.sequence());
            attempts = 0;
            if (update) update(change);
          }
          return absl::OkStatus();
        });
    if (latest.done()) return latest;
    if (status.ok()) {
      status = absl::UnavailableError(absl::StrCat("the watch of ", name, " ended before it did"));
    }
    if (!connection_->WaitBeforeRetry(status, Repeatable::kYes, std::max(attempts, 1), deadline)) {
      return status;
    }
  }
}

}  // namespace bif::client
