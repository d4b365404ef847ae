#include "client/load/caller.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bif/v1/attribution.grpc.pb.h"
#include "google/protobuf/empty.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/client_callback.h"

namespace bif::client::load {
namespace {

constexpr absl::Duration kConnectWithin = absl::Seconds(10);
constexpr int kMaxReceiveBytes = 64 << 20;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

// What is left of a call once it has ended.
struct CallReport {
  CallRecord record;
  RunClock& clock;
  Caller::Done done;

  // To be called when nothing of the call is left: whoever hears of its end may let go of the
  // channel, and a channel must not find its last owner on a thread of gRPC's.
  void End(absl::StatusCode code) {
    record.code = code;
    done(record);
  }
};

grpc::ClientContext* Prepare(grpc::ClientContext& context, const CallerOptions& options) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + options.deadline));
  if (!options.token.empty()) context.AddMetadata("authorization", "Bearer " + options.token);
  return &context;
}

class AttributeCall final : public grpc::ClientReadReactor<v1::AttributeResponse> {
 public:
  AttributeCall(CallReport report, v1::AttributeRequest request,
                const std::shared_ptr<grpc::Channel>& channel, const CallerOptions& options)
      : report_(std::move(report)),
        request_(std::move(request)),
        stub_(v1::Attribution::NewStub(channel)) {
    stub_->async()->Attribute(Prepare(context_, options), &request_, this);
    StartRead(&message_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    CallRecord& record = report_.record;
    if (!record.first_message) record.first_message = report_.clock.Elapsed();
    if (message_.final()) final_ = true;
    if (message_.has_server_times()) {
      const v1::ServerTimes& times = message_.server_times();
      record.server_times = {.queue = FromProto(times.queue()),
                             .evaluation = FromProto(times.evaluation()),
                             .scoring = FromProto(times.scoring())};
    }
    message_.Clear();
    StartRead(&message_);
  }

  void OnDone(const grpc::Status& status) override {
    absl::StatusCode code = static_cast<absl::StatusCode>(status.error_code());
    if (status.ok() && !final_) code = absl::StatusCode::kInternal;  // an answer without an end
    report_.record.last = report_.clock.Elapsed();
    CallReport report = std::move(report_);
    delete this;
    report.End(code);
  }

 private:
  CallReport report_;
  grpc::ClientContext context_;
  const v1::AttributeRequest request_;
  const std::unique_ptr<v1::Attribution::Stub> stub_;
  v1::AttributeResponse message_;
  bool final_ = false;
};

// grpc.health.v1 needs no generated code: its request may be empty, and an answer that says SERVING
// is field 1 with the value 1. As in client/admin.cc.
class HealthCall {
 public:
  using Empty = google::protobuf::Empty;
  static void Start(CallReport report, const std::shared_ptr<grpc::Channel>& channel,
                    const CallerOptions& options) {
    auto* call = new HealthCall(std::move(report), channel);
    call->stub_.UnaryCall(Prepare(call->context_, options), "/grpc.health.v1.Health/Check", {},
                          &call->request_, &call->response_,
                          [call](const grpc::Status& status) { call->End(status); });
  }

 private:
  HealthCall(CallReport report, const std::shared_ptr<grpc::Channel>& channel)
      : report_(std::move(report)), stub_(channel) {}

  void End(const grpc::Status& status) {
    absl::StatusCode code = static_cast<absl::StatusCode>(status.error_code());
    report_.record.last = report_.clock.Elapsed();
    if (status.ok()) {
      report_.record.first_message = report_.record.last;
      const bool serving = response_.SerializeAsString() == "\x08\x01";
      if (!serving) code = absl::StatusCode::kUnavailable;
    }
    CallReport report = std::move(report_);
    delete this;
    report.End(code);
  }

  CallReport report_;
  grpc::ClientContext context_;
  grpc::TemplatedGenericStub<Empty, Empty> stub_;
  const Empty request_;
  Empty response_;
};

}  // namespace

absl::Status Caller::Open(int count, std::vector<std::shared_ptr<grpc::Channel>>& channels) {
  grpc::ChannelArguments arguments;
  // Else gRPC would give all channels the one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  auto credentials = CredentialsOf(options_.tls, options_.server);
  if (!credentials.ok()) return credentials.status();
  const size_t first = channels.size();
  for (int i = 0; i < count; ++i) {
    channels.push_back(grpc::CreateCustomChannel(options_.server, *credentials, arguments));
    channels.back()->GetState(/*try_to_connect=*/true);
  }
  const auto deadline = absl::ToChronoTime(absl::Now() + kConnectWithin);
  for (size_t i = first; i < channels.size(); ++i) {
    if (!channels[i]->WaitForConnected(deadline)) {
      return absl::UnavailableError(absl::StrCat("connection ", i - first + 1, " of ", count,
                                                 " to ", options_.server, " could not be opened"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Caller>> Caller::Connect(const CallerOptions& options) {
  std::unique_ptr<Caller> caller(new Caller(options));
  absl::Status opened = caller->Open(options.connections, caller->channels_);
  if (opened.ok()) opened = caller->Open(options.idle_connections, caller->idle_channels_);
  if (!opened.ok()) return opened;
  return caller;
}

void Caller::Start(Requests::Request request, CallRecord record, RunClock& clock, Done done) {
  const std::shared_ptr<grpc::Channel>& channel = channels_[next_channel_++ % channels_.size()];
  record.method = request.method;
  record.sent = clock.Elapsed();
  CallReport report{std::move(record), clock, std::move(done)};
  if (request.method == Method::kHealth) {
    HealthCall::Start(std::move(report), channel, options_);
  } else {
    new AttributeCall(std::move(report), std::move(request.attribute), channel, options_);
  }
}

}  // namespace bif::client::load
