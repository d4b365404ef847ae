// Answers a call that takes a stream of messages and gives one: uploads.
//
// One message is in memory at a time: the next is read once the one before has been worked on, on
// the pool of short calls, so a slow client holds no thread and a fast one cannot run ahead.
//
// gRPC reports three things alike, as a read that brought nothing: that the client is done, that it
// vanished, and that a message was damaged. Only the first may complete an upload; see OnReadDone.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "google/protobuf/unknown_field_set.h"
#include "server/call_runtime.h"
#include "server/errors.h"
#include "server/tenant_names.h"
#include "src/base/status.h"

namespace bif::server {

// What one such call does. Its methods are called one after another, never at once. Dropped without
// OnEnd when the client goes away or a message is refused: it must then leave nothing behind.
template <typename Request>
class MessageReceiver {
 public:
  virtual ~MessageReceiver() = default;
  // An error ends the call.
  virtual absl::Status OnMessage(const Request& message) = 0;
  // The client has sent everything; on OK the response has been filled.
  virtual absl::Status OnEnd() = 0;
};

template <typename Request>
class ClientStreamCall final : public grpc::ServerReadReactor<Request> {
 public:
  using MakeReceiver = std::function<std::unique_ptr<MessageReceiver<Request>>(const Caller&)>;

  // As StartUnary: the caller is let in, and names are theirs outside and the jobs' own inside.
  static grpc::ServerReadReactor<Request>* Start(CallRuntime& runtime,
                                                 grpc::CallbackServerContext* context,
                                                 std::string method,
                                                 google::protobuf::Message* response,
                                                 const MakeReceiver& make_receiver) {
    auto* call = new ClientStreamCall(runtime, context, std::move(method), response);
    const absl::Status admitted =
        LetIn(runtime, *context, call->call_.method(), nullptr, call->caller_);
    if (admitted.ok()) {
      call->receiver_ = make_receiver(call->caller_);
      call->ReadNext();
    } else {
      call->End(admitted);
    }
    return call;
  }

  void OnReadDone(bool ok) override {
    if (ended_) return;
    if (ok) {
      SubmitOrEnd(&ClientStreamCall::Work);
    } else if (!IsMarked(message_)) {
      End(absl::InvalidArgumentError("a message of the stream is not the method's request"));
    } else {
      // Fails if the stream is closed in both directions: then the client is not done but gone.
      this->StartSendInitialMetadata();
    }
  }
  void OnSendInitialMetadataDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the call was cancelled before its end"));
    SubmitOrEnd(&ClientStreamCall::WorkAtEnd);
  }
  void OnCancel() override { call_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // A field that no request has. Parsing clears a message first: where the mark is gone, something
  // came, be it damaged.
  static constexpr int kMark = (1 << 29) - 1;
  static bool IsMarked(const Request& message) {
    const auto& fields = message.GetReflection()->GetUnknownFields(message);
    return fields.field_count() == 1 && fields.field(0).number() == kMark;
  }

  ClientStreamCall(CallRuntime& runtime, grpc::CallbackServerContext* context, std::string method,
                   google::protobuf::Message* response)
      : runtime_(runtime),
        context_(context),
        call_(runtime.registry, std::move(method)),
        response_(response) {}

  void ReadNext() {
    message_.Clear();
    message_.GetReflection()->MutableUnknownFields(&message_)->AddVarint(kMark, 0);
    this->StartRead(&message_);
  }

  void SubmitOrEnd(void (ClientStreamCall::*step)()) {
    const absl::Status queued = runtime_.calls.Submit([this, step] { (this->*step)(); });
    if (!queued.ok()) End(queued);
  }

  void Work() {
    if (call_.cancel().cancelled()) return End(absl::CancelledError("the call was cancelled"));
    const absl::Status status = RunGuarded(call_.method(), caller_, [this]() -> absl::Status {
      BIF_RETURN_IF_ERROR(runtime_.gate.Qualify(caller_, call_.method(), message_));
      return receiver_->OnMessage(message_);
    });
    if (!status.ok()) return End(status);
    ReadNext();
  }

  void WorkAtEnd() {
    if (call_.cancel().cancelled() || context_->IsCancelled()) {
      return End(absl::CancelledError("the call was cancelled before its end"));
    }
    const absl::Status status =
        RunGuarded(call_.method(), caller_, [this] { return receiver_->OnEnd(); });
    if (status.ok()) UnqualifyNames(caller_.tenant, *response_);
    End(status);
  }

  // The last thing that touches the object: gRPC may call OnDone before Finish has returned.
  void End(const absl::Status& status) {
    ended_ = true;
    receiver_.reset();
    call_.RecordEnd(status);
    this->Finish(ToGrpcStatus(status, call_.method(), caller_.tenant));
  }

  CallRuntime& runtime_;
  grpc::CallbackServerContext* const context_;
  LiveCall call_;
  Caller caller_;
  google::protobuf::Message* const response_;
  std::unique_ptr<MessageReceiver<Request>> receiver_;
  Request message_;
  bool ended_ = false;  // reads, work and end follow one another, so no lock
};

}  // namespace bif::server
