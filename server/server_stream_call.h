// Answers a call that takes one message and gives a stream of them.
//
// The producer runs on the pool of streams and writes through StreamWriter. One write is in flight
// and few wait, so a slow reader pauses its producer; messages that are mere progress are dropped
// instead. A reader that takes nothing for CallRuntime::stall_limit loses the call, so that it
// cannot hold a thread for ever.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/call_runtime.h"
#include "server/errors.h"
#include "server/tenant_names.h"
#include "src/base/status.h"

namespace bif::server {

// The producer's side. Thread-safe; must not be used after the producer has returned.
template <typename Response>
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // Waits while too much is unsent. CANCELLED once the client has gone, DEADLINE_EXCEEDED once it
  // has stalled: the producer then had better return.
  virtual absl::Status Write(Response message) = 0;
  // For what may be lost: dropped if anything is still unsent. Never waits.
  virtual void WriteProgress(Response message) = 0;
  virtual const CancelToken& cancel() const = 0;
};

template <typename Response>
class ServerStreamCall final : public grpc::ServerWriteReactor<Response>,
                               public StreamWriter<Response> {
 public:
  using Produce = std::function<absl::Status(const Caller&, StreamWriter<Response>&)>;

  // As StartUnary: the caller is let in, and names are theirs outside and the jobs' own inside.
  template <typename Request>
  static grpc::ServerWriteReactor<Response>* Start(CallRuntime& runtime,
                                                   grpc::CallbackServerContext* context,
                                                   std::string method, const Request* request,
                                                   Produce produce) {
    std::shared_ptr<ServerStreamCall> call(
        new ServerStreamCall(runtime, context, std::move(method), std::move(produce)));
    call->self_ = call;
    const absl::Status started = [&]() -> absl::Status {
      // gRPC made the request for this call alone; it is const only for handlers.
      BIF_RETURN_IF_ERROR(LetIn(runtime, *context, call->call_.method(),
                                const_cast<Request*>(request), call->caller_));
      return runtime.streams.Submit([call] {
        call->ProducerReturned(RunGuarded(call->call_.method(), call->caller_,
                                          [call] { return call->produce_(call->caller_, *call); }));
      });
    }();
    if (!started.ok()) call->ProducerReturned(started);
    return call.get();
  }

  absl::Status Write(Response message) override {
    UnqualifyNames(caller_.tenant, message);
    {
      absl::MutexLock lock(&mutex_);
      const auto may_go_on = [this] {
        mutex_.AssertReaderHeld();
        return unsent_.size() < kMaxUnsent || broken_;
      };
      if (mutex_.AwaitWithTimeout(absl::Condition(&may_go_on), stall_limit_)) {
        if (broken_) return absl::CancelledError("the client has gone");
        unsent_.push_back(std::move(message));
        if (unsent_.size() == 1) this->StartWrite(&unsent_.front());
        return absl::OkStatus();
      }
    }
    call_.Cancel();
    context_->TryCancel();  // else the write in flight would keep the call alive with its reader
    return absl::DeadlineExceededError(
        "the reader has taken nothing for too long; ask again, and read as it comes");
  }

  void WriteProgress(Response message) override {
    UnqualifyNames(caller_.tenant, message);
    absl::MutexLock lock(&mutex_);
    if (broken_ || !unsent_.empty()) return;
    unsent_.push_back(std::move(message));
    this->StartWrite(&unsent_.front());
  }

  const CancelToken& cancel() const override { return call_.cancel(); }

  void OnWriteDone(bool ok) override {
    bool end = false;
    {
      absl::MutexLock lock(&mutex_);
      unsent_.pop_front();
      if (!ok) broken_ = true;
      if (broken_) unsent_.clear();
      if (!unsent_.empty()) this->StartWrite(&unsent_.front());
      end = returned_ && unsent_.empty();
    }
    if (end) End();
  }

  void OnCancel() override {
    call_.Cancel();
    absl::MutexLock lock(&mutex_);
    broken_ = true;
  }

  void OnDone() override { self_.reset(); }

 private:
  static constexpr size_t kMaxUnsent = 4;

  ServerStreamCall(CallRuntime& runtime, grpc::CallbackServerContext* context, std::string method,
                   Produce produce)
      : context_(context),
        stall_limit_(runtime.stall_limit),
        call_(runtime.registry, std::move(method)),
        produce_(std::move(produce)) {}

  void ProducerReturned(absl::Status status) {
    bool end = false;
    {
      absl::MutexLock lock(&mutex_);
      status_ = std::move(status);
      returned_ = true;
      end = unsent_.empty();
    }
    if (end) End();
  }

  // The last thing that touches the object: gRPC may call OnDone before Finish has returned. Called
  // once: by the producer if nothing was unsent when it returned, else by the last write.
  void End() {
    absl::Status status;
    {
      absl::MutexLock lock(&mutex_);
      status = status_;
    }
    call_.RecordEnd(status);
    this->Finish(ToGrpcStatus(status, call_.method(), caller_.tenant));
  }

  grpc::CallbackServerContext* const context_;  // lives until OnDone
  const absl::Duration stall_limit_;
  LiveCall call_;
  Caller caller_;
  const Produce produce_;
  std::shared_ptr<ServerStreamCall>
      self_;           // gRPC's share until OnDone; the producer's thread has another
  absl::Mutex mutex_;  // guards what is unsent and how the call ends
  std::deque<Response> unsent_ ABSL_GUARDED_BY(mutex_);  // the first is being written
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;          // nothing can be written any more
  bool returned_ ABSL_GUARDED_BY(mutex_) = false;        // the producer has
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::server
