#include "server/unary_call.h"

#include <grpcpp/support/server_callback.h>

#include <utility>

#include "server/errors.h"

namespace bif::server {
namespace {

class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(CallRuntime& runtime, std::string method, std::function<absl::Status()> work)
      : call_(runtime.registry, std::move(method)), work_(std::move(work)) {}

  void Start(CallRuntime& runtime) {
    absl::Status admitted = runtime.registry.Admit();
    if (admitted.ok()) {
      admitted = runtime.calls.Submit([this] { End(RunGuarded(call_.method(), work_)); });
    }
    if (!admitted.ok()) End(admitted);
  }

  void OnCancel() override { call_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // The last thing that touches the object: gRPC may call OnDone before Finish has returned.
  void End(const absl::Status& status) {
    call_.RecordEnd(status);
    Finish(ToGrpcStatus(status, call_.method()));
  }

  LiveCall call_;
  const std::function<absl::Status()> work_;
};

}  // namespace

grpc::ServerUnaryReactor* StartUnary(CallRuntime& runtime, std::string method,
                                     std::function<absl::Status()> work) {
  auto* call = new UnaryCall(runtime, std::move(method), std::move(work));
  call->Start(runtime);
  return call;
}

}  // namespace bif::server
