#include <memory>
#include <optional>

#include "bif/v1/operations.grpc.pb.h"
#include "server/convert_operations.h"
#include "server/errors.h"
#include "server/operation_await.h"
#include "server/services.h"
#include "server/tenant_names.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

constexpr char kMethod[] = "bif.v1.OperationWatcher/WatchOperation";

// WatchOperation. A circle of steps, one at a time: wait for a change, convert it, write it, wait
// for the next. So changes that come while a message is being written are told by the next message
// together, and no thread is held meanwhile.
class WatchCall final : public grpc::ServerWriteReactor<v1::WatchOperationResponse> {
 public:
  static grpc::ServerWriteReactor<v1::WatchOperationResponse>* Start(
      CallRuntime& runtime, grpc::CallbackServerContext* context,
      const v1::WatchOperationRequest* request) {
    std::shared_ptr<WatchCall> call(new WatchCall(runtime, request->after_sequence()));
    call->self_ = call;
    call->call_.emplace(runtime.registry, kMethod, [weak = std::weak_ptr(call)] {
      if (const std::shared_ptr<WatchCall> live = weak.lock()) {
        live->Stop(absl::UnavailableError("the server is stopping; watch again when it is back"));
      }
    });
    const absl::Status admitted = [&]() -> absl::Status {
      v1::WatchOperationRequest qualified = *request;
      BIF_RETURN_IF_ERROR(LetIn(runtime, *context, kMethod, &qualified, call->caller_));
      call->name_ = qualified.name();
      return absl::OkStatus();
    }();
    if (admitted.ok()) {
      call->SubmitOrEnd(&WatchCall::AwaitChange);
    } else {
      call->End(admitted);
    }
    return call.get();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the client has gone"));
    if (done_) return End(absl::OkStatus());
    SubmitOrEnd(&WatchCall::AwaitChange);
  }
  void OnCancel() override { Stop(absl::CancelledError("the call was cancelled")); }
  void OnDone() override { self_.reset(); }

 private:
  WatchCall(CallRuntime& runtime, uint64_t after_sequence)
      : runtime_(runtime), sequence_(after_sequence) {}

  void SubmitOrEnd(void (WatchCall::*step)()) {
    const absl::Status queued = runtime_.calls.Submit([self = self_, step] { (*self.*step)(); });
    if (!queued.ok()) End(queued);
  }

  void AwaitChange() {
    auto await = OperationAwait::Make(
        runtime_.jobs.operations(), [self = self_](const absl::StatusOr<jobs::Operation>& result) {
          self->change_ = result;
          self->SubmitOrEnd(&WatchCall::SendChange);
        });
    absl::Status stop;
    {
      absl::MutexLock lock(&mutex_);
      await_ = await;
      stop = stop_;
    }
    if (!stop.ok()) return await->GiveUp(stop);
    await->Start(name_, sequence_);
  }

  void SendChange() {
    const absl::Status converted = RunGuarded(call_->method(), caller_, [this]() -> absl::Status {
      if (!change_.ok()) return change_.status();
      sequence_ = change_->sequence;
      done_ = change_->done;
      message_.set_sequence(sequence_);
      *message_.mutable_operation() = OperationToProto(*change_, runtime_.jobs.posteriors());
      UnqualifyNames(caller_.tenant, message_);
      return absl::OkStatus();
    });
    if (!converted.ok()) return End(converted);
    StartWrite(&message_);
  }

  void Stop(const absl::Status& why) {
    std::shared_ptr<OperationAwait> await;
    {
      absl::MutexLock lock(&mutex_);
      if (stop_.ok()) stop_ = why;
      await = await_;
    }
    if (await != nullptr) await->GiveUp(why);
  }

  void End(const absl::Status& status) {
    call_->RecordEnd(status);
    Finish(ToGrpcStatus(status, call_->method(), caller_.tenant));
  }

  CallRuntime& runtime_;
  absl::Mutex mutex_;  // guards what Stop shares with the circle
  std::shared_ptr<OperationAwait> await_ ABSL_GUARDED_BY(mutex_);
  absl::Status stop_ ABSL_GUARDED_BY(mutex_);
  std::optional<LiveCall> call_;
  Caller caller_;
  std::string name_;
  // The circle's own:
  uint64_t sequence_;
  absl::StatusOr<jobs::Operation> change_;
  v1::WatchOperationResponse message_;
  bool done_ = false;
  std::shared_ptr<WatchCall> self_;  // gRPC's share, until OnDone
};

class OperationWatcherService final : public v1::OperationWatcher::CallbackService {
 public:
  explicit OperationWatcherService(CallRuntime& runtime) : runtime_(runtime) {}

  grpc::ServerWriteReactor<v1::WatchOperationResponse>* WatchOperation(
      grpc::CallbackServerContext* context, const v1::WatchOperationRequest* request) override {
    return WatchCall::Start(runtime_, context, request);
  }

 private:
  CallRuntime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeOperationWatcherService(CallRuntime& runtime) {
  return std::make_unique<OperationWatcherService>(runtime);
}

}  // namespace bif::server
