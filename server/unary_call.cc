#include "server/unary_call.h"

#include <grpcpp/support/server_callback.h>

#include <utility>

#include "server/errors.h"
#include "server/tenant_names.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(CallRuntime& runtime, std::string method, google::protobuf::Message* response,
            std::function<absl::Status(const Caller&)> work)
      : call_(runtime.registry, std::move(method)), response_(response), work_(std::move(work)) {}

  void Start(CallRuntime& runtime, const grpc::CallbackServerContext& context,
             google::protobuf::Message& request) {
    const absl::Status started = [&]() -> absl::Status {
      BIF_RETURN_IF_ERROR(LetIn(runtime, context, call_.method(), &request, caller_));
      return runtime.calls.Submit([this] { Run(); });
    }();
    if (!started.ok()) End(started);
  }

  void OnCancel() override { call_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  void Run() {
    const absl::Status status =
        RunGuarded(call_.method(), caller_, [this] { return work_(caller_); });
    if (status.ok()) UnqualifyNames(caller_.tenant, *response_);
    End(status);
  }

  // The last thing that touches the object: gRPC may call OnDone before Finish has returned.
  void End(const absl::Status& status) {
    call_.RecordEnd(status);
    Finish(ToGrpcStatus(status, call_.method(), caller_.tenant));
  }

  LiveCall call_;
  Caller caller_;
  google::protobuf::Message* const response_;
  const std::function<absl::Status(const Caller&)> work_;
};

}  // namespace

grpc::ServerUnaryReactor* StartUnaryCall(CallRuntime& runtime, grpc::CallbackServerContext* context,
                                         std::string method, google::protobuf::Message* request,
                                         google::protobuf::Message* response,
                                         std::function<absl::Status(const Caller&)> work) {
  auto* call = new UnaryCall(runtime, std::move(method), response, std::move(work));
  call->Start(runtime, *context, *request);
  return call;
}

}  // namespace bif::server
