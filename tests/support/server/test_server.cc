#include "tests/support/server/test_server.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <fstream>
#include <map>
#include <ostream>
#include <stdexcept>

#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/job_metrics.h"
#include "src/storage/store.h"

namespace bif::server::testing {
namespace {

using grpc::internal::RpcMethod;

CallEnd EndOf(const grpc::Status& status) {
  CallEnd end;
  end.code = static_cast<absl::StatusCode>(status.error_code());
  end.message = status.error_message();
  google::rpc::Status rpc;
  rpc.ParseFromString(status.error_details());
  for (const google::protobuf::Any& detail : rpc.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (detail.UnpackTo(&info)) {
      end.reason = info.reason();
      if (info.metadata().contains("incident")) end.incident = info.metadata().at("incident");
    } else if (detail.UnpackTo(&bad) && bad.field_violations_size() > 0) {
      end.field = bad.field_violations(0).field();
    } else if (detail.Is<google::rpc::RetryInfo>()) {
      end.retry = true;
    }
  }
  return end;
}

using Metadata = std::map<std::string, std::string>;

struct Context : grpc::ClientContext {
  explicit Context(const Metadata& metadata, absl::Duration deadline = absl::InfiniteDuration()) {
    for (const auto& [key, value] : metadata) AddMetadata(key, value);
    if (deadline < absl::InfiniteDuration())
      set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  }
};

RpcMethod Method(const std::string& path, RpcMethod::RpcType type) {
  return RpcMethod(path.c_str(), type);
}

class ReadingCall final : public Reading {
 public:
  ReadingCall(grpc::ChannelInterface& channel, const std::string& method,
              const MessageLite& request, const Metadata& metadata, absl::Duration deadline)
      : path_("/" + method),
        context_(metadata, deadline),
        reader_(grpc::internal::ClientReaderFactory<MessageLite>::Create(
            &channel, Method(path_, RpcMethod::SERVER_STREAMING), &context_, request)) {}
  ~ReadingCall() override {
    if (finished_) return;
    context_.TryCancel();
    reader_->Finish();
  }
  bool Next(MessageLite& message) override { return reader_->Read(&message); }
  void Cancel() override { context_.TryCancel(); }
  CallEnd Finish() override {
    finished_ = true;
    return EndOf(reader_->Finish());
  }

 private:
  const std::string path_;
  Context context_;
  const std::unique_ptr<grpc::ClientReader<MessageLite>> reader_;
  bool finished_ = false;
};

class WritingCall final : public Writing {
 public:
  WritingCall(grpc::ChannelInterface& channel, const std::string& method, MessageLite& response,
              const Metadata& metadata, absl::Duration deadline)
      : path_("/" + method),
        context_(metadata, deadline),
        writer_(grpc::internal::ClientWriterFactory<MessageLite>::Create(
            &channel, Method(path_, RpcMethod::CLIENT_STREAMING), &context_, &response)) {}
  ~WritingCall() override {
    if (finished_) return;
    context_.TryCancel();
    writer_->Finish();
  }
  bool Write(const MessageLite& message) override { return writer_->Write(message); }
  void Cancel() override { context_.TryCancel(); }
  CallEnd Finish() override {
    finished_ = true;
    writer_->WritesDone();
    return EndOf(writer_->Finish());
  }

 private:
  const std::string path_;
  Context context_;
  const std::unique_ptr<grpc::ClientWriter<MessageLite>> writer_;
  bool finished_ = false;
};

// A test that has no server cannot go on.
template <typename Value>
Value Must(absl::StatusOr<Value> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const CallEnd& end) {
  return out << absl::StatusCodeToString(end.code) << " '" << end.message
             << "' reason=" << end.reason << " field=" << end.field;
}

TestServer::TestServer(ServerOptions options, jobs::JobsOptions jobs_options) {
  std::filesystem::create_directory(scratch_ / "files");
  store_ = Must(storage::OpenStore({.root = scratch_ / "data", .min_free_disk_bytes = 1 << 20}));
  jobs_options.allowed_roots = {scratch_ / "files"};
  jobs_ = Must(jobs::Jobs::Start(*store_, engine_, jobs_options));
  ExportJobMetrics(*jobs_, metrics_);
  options.listen = "127.0.0.1:0";
  server_ = Must(Server::Start(
      options, {.version = "test", .data_directory = scratch_ / "data", .start_time = absl::Now()},
      *jobs_, metrics_));
  channel_ = server_->InProcessChannel();
}

TestServer::~TestServer() {
  metrics_.RemoveRefreshers();
  channel_.reset();
  server_->StartDraining();
  jobs_->Drain();
}

void TestServer::TalkOverTcp(std::shared_ptr<grpc::ChannelCredentials> credentials) {
  TalkTo(server_->address(),
         credentials == nullptr ? grpc::InsecureChannelCredentials() : std::move(credentials));
}

void TestServer::TalkTo(const std::string& address,
                        std::shared_ptr<grpc::ChannelCredentials> credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // shares no connection
  channel_ = grpc::CreateCustomChannel(address, credentials, arguments);
}

CallEnd TestServer::Call(const std::string& method, const MessageLite& request,
                         MessageLite& response, absl::Duration deadline) {
  const std::string path = "/" + method;
  Context context(metadata_, deadline);
  return EndOf(grpc::internal::BlockingUnaryCall<MessageLite, MessageLite>(
      channel_.get(), Method(path, RpcMethod::NORMAL_RPC), &context, request, &response));
}

CallEnd TestServer::CallWithBytes(const std::string& method, const std::string& request_bytes) {
  const std::string path = "/" + method;
  Context context(metadata_);
  const grpc::Slice slice(request_bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  return EndOf(grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel_.get(), Method(path, RpcMethod::NORMAL_RPC), &context, request, &response));
}

std::unique_ptr<Reading> TestServer::Read(const std::string& method, const MessageLite& request,
                                          absl::Duration deadline) {
  return std::make_unique<ReadingCall>(*channel_, method, request, metadata_, deadline);
}

std::unique_ptr<Writing> TestServer::Write(const std::string& method, MessageLite& response,
                                           absl::Duration deadline) {
  return std::make_unique<WritingCall>(*channel_, method, response, metadata_, deadline);
}

std::string TestServer::WriteFile(const std::string& name, const std::string& content) {
  const std::string path = scratch_ / "files" + ("/" + name);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

}  // namespace bif::server::testing
