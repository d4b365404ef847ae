#include <grpcpp/alarm.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "absl/time/clock.h"
#include "google/longrunning/operations_proto.grpc.pb.h"
#include "server/convert_common.h"
#include "server/convert_operations.h"
#include "server/errors.h"
#include "server/operation_await.h"
#include "server/services.h"
#include "server/tenant_names.h"
#include "server/unary_call.h"

namespace bif::server {
namespace {

namespace lro = ::google::longrunning;

// A client that wants to wait longer asks again.
constexpr char kMethod[] = "google.longrunning.Operations/WaitOperation";
constexpr absl::Duration kLongestWait = absl::Minutes(5);

// WaitOperation: answers when the operation is done or the time is over, and holds no thread until
// then.
class WaitCall final : public grpc::ServerUnaryReactor,
                       public std::enable_shared_from_this<WaitCall> {
 public:
  static grpc::ServerUnaryReactor* Start(CallRuntime& runtime, grpc::CallbackServerContext* context,
                                         const lro::WaitOperationRequest* request,
                                         lro::Operation* response) {
    std::shared_ptr<WaitCall> call(new WaitCall(runtime, response));
    call->self_ = call;
    call->call_.emplace(runtime.registry, kMethod, [await = call->await_] {
      await->GiveUp(absl::UnavailableError("the server is stopping; ask again when it is back"));
    });
    absl::Duration timeout = kLongestWait;
    if (request->has_timeout()) timeout = std::min(timeout, FromProto(request->timeout()));
    const absl::Status started = [&]() -> absl::Status {
      lro::WaitOperationRequest qualified = *request;
      BIF_RETURN_IF_ERROR(LetIn(runtime, *context, kMethod, &qualified, call->caller_));
      call->name_ = qualified.name();
      return runtime.calls.Submit([call, timeout] { call->Wait(timeout); });
    }();
    if (!started.ok()) call->await_->GiveUp(started);
    return call.get();
  }

  void OnCancel() override { await_->GiveUp(absl::CancelledError("the call was cancelled")); }
  void OnDone() override { self_.reset(); }

 private:
  // The call ends only after `await_` has: so it may hold the bare pointer.
  WaitCall(CallRuntime& runtime, lro::Operation* response)
      : runtime_(runtime),
        await_(OperationAwait::Make(
            runtime.jobs.operations(),
            [this](const absl::StatusOr<jobs::Operation>& result) { Over(result); })),
        response_(response) {}

  void Wait(absl::Duration timeout) {
    {
      absl::MutexLock lock(&alarm_mutex_);
      if (answered_) return;
      // Weak: the alarm, a part of this object, keeps its function until it is destroyed.
      alarm_.Set(
          absl::ToChronoTime(absl::Now() + timeout), [weak = weak_from_this()](bool expired) {
            const std::shared_ptr<WaitCall> self = weak.lock();
            if (!expired || self == nullptr) return;
            self->timed_out_ = true;
            self->await_->GiveUp(absl::DeadlineExceededError("the operation is not done yet"));
          });
      alarm_set_ = true;
    }
    await_->Start(name_, std::numeric_limits<uint64_t>::max());
  }

  // On any thread, once. What may block goes to the pool; a pool that is full or gone ends the call
  // at once.
  void Over(const absl::StatusOr<jobs::Operation>& result) {
    const absl::Status queued =
        runtime_.calls.Submit([self = shared_from_this(), result] { self->Answer(result); });
    if (!queued.ok()) End(result.ok() ? queued : result.status());
  }

  void Answer(absl::StatusOr<jobs::Operation> result) {
    End(RunGuarded(call_->method(), caller_, [&]() -> absl::Status {
      if (!result.ok() && timed_out_) result = runtime_.jobs.operations().Get(name_);
      if (!result.ok()) return result.status();
      *response_ = OperationToProto(*result, runtime_.jobs.posteriors());
      UnqualifyNames(caller_.tenant, *response_);
      return absl::OkStatus();
    }));
  }

  void End(const absl::Status& status) {
    {
      absl::MutexLock lock(&alarm_mutex_);
      answered_ = true;
      if (alarm_set_) alarm_.Cancel();
    }
    call_->RecordEnd(status);
    Finish(ToGrpcStatus(status, call_->method(), caller_.tenant));
  }

  CallRuntime& runtime_;
  const std::shared_ptr<OperationAwait> await_;
  Caller caller_;
  std::string name_;
  lro::Operation* const response_;
  std::optional<LiveCall> call_;
  std::atomic<bool> timed_out_{false};
  absl::Mutex alarm_mutex_;  // guards the alarm: it is not set after the end, and not cancelled
                             // before it is set
  grpc::Alarm alarm_ ABSL_GUARDED_BY(alarm_mutex_);
  bool alarm_set_ ABSL_GUARDED_BY(alarm_mutex_) = false;
  bool answered_ ABSL_GUARDED_BY(alarm_mutex_) = false;
  std::shared_ptr<WaitCall> self_;  // gRPC's share, until OnDone
};

class OperationsService final : public lro::Operations::CallbackService {
 public:
  explicit OperationsService(CallRuntime& runtime)
      : runtime_(runtime), operations_(runtime.jobs.operations()) {}

  grpc::ServerUnaryReactor* ListOperations(grpc::CallbackServerContext* context,
                                           const lro::ListOperationsRequest* request,
                                           lro::ListOperationsResponse* response) override {
    return StartUnary(runtime_, context, "google.longrunning.Operations/ListOperations", request,
                      response, [=, this](const Caller& caller) -> absl::Status {
                        if (!request->filter().empty())
                          return FieldError("filter", "is not supported; leave it empty");
                        if (!request->name().empty() && request->name() != "operations") {
                          return FieldError("name", "must be empty or 'operations'");
                        }
                        BIF_ASSIGN_OR_RETURN(const jobs::Page<jobs::Operation> page,
                                             operations_.List(PageOf(*request, caller.tenant)));
                        for (const jobs::Operation& operation : page.items) {
                          *response->add_operations() =
                              OperationToProto(operation, runtime_.jobs.posteriors());
                        }
                        response->set_next_page_token(page.next_page_token);
                        return absl::OkStatus();
                      });
  }

  grpc::ServerUnaryReactor* GetOperation(grpc::CallbackServerContext* context,
                                         const lro::GetOperationRequest* request,
                                         lro::Operation* response) override {
    return StartUnary(runtime_, context, "google.longrunning.Operations/GetOperation", request,
                      response, [=, this](const Caller&) -> absl::Status {
                        BIF_ASSIGN_OR_RETURN(const jobs::Operation operation,
                                             operations_.Get(request->name()));
                        *response = OperationToProto(operation, runtime_.jobs.posteriors());
                        return absl::OkStatus();
                      });
  }

  grpc::ServerUnaryReactor* DeleteOperation(grpc::CallbackServerContext* context,
                                            const lro::DeleteOperationRequest* request,
                                            google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "google.longrunning.Operations/DeleteOperation", request,
                      response,
                      [=, this](const Caller&) { return operations_.Delete(request->name()); });
  }

  grpc::ServerUnaryReactor* CancelOperation(grpc::CallbackServerContext* context,
                                            const lro::CancelOperationRequest* request,
                                            google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "google.longrunning.Operations/CancelOperation", request,
                      response,
                      [=, this](const Caller&) { return operations_.Cancel(request->name()); });
  }

  grpc::ServerUnaryReactor* WaitOperation(grpc::CallbackServerContext* context,
                                          const lro::WaitOperationRequest* request,
                                          lro::Operation* response) override {
    return WaitCall::Start(runtime_, context, request, response);
  }

 private:
  CallRuntime& runtime_;
  jobs::OperationManager& operations_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeOperationsService(CallRuntime& runtime) {
  return std::make_unique<OperationsService>(runtime);
}

}  // namespace bif::server
