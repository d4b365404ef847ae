#include "tests/support/client/fake_server.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "bif/v1/admin.grpc.pb.h"
#include "bif/v1/attribution.grpc.pb.h"
#include "bif/v1/checkpoints.grpc.pb.h"
#include "bif/v1/datasets.grpc.pb.h"
#include "bif/v1/operations.grpc.pb.h"
#include "bif/v1/posteriors.grpc.pb.h"
#include "google/longrunning/operations_proto.grpc.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace bif::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

Status ToGrpc(const google::rpc::Status& error) {
  if (error.code() == 0) return Status::OK;
  return Status(static_cast<grpc::StatusCode>(error.code()), error.message(),
                error.SerializeAsString());
}

Status NotSet() { return Status(grpc::StatusCode::UNIMPLEMENTED, "the test set no handler"); }

}  // namespace

struct FakeServer::Impl {
  FakeServer* server = nullptr;
  mutable absl::Mutex mutex;  // one handler at a time; also guards what is noted of calls
  std::map<std::string, int> calls ABSL_GUARDED_BY(mutex);
  std::string authorization ABSL_GUARDED_BY(mutex);

  template <typename Handler, typename Request, typename Response>
  Status Answer(const char* method, const Handler& handler, const Request& request,
                Response* response) {
    absl::MutexLock lock(&mutex);
    ++calls[method];
    return handler ? ToGrpc(handler(request, *response)) : NotSet();
  }

  template <typename Response, typename Handler, typename Request>
  Status AnswerStream(const char* method, const Handler& handler, const Request& request,
                      grpc::ServerWriter<Response>* writer, const ServerContext& context) {
    std::vector<Response> responses;
    Status status;
    {
      absl::MutexLock lock(&mutex);
      ++calls[method];
      const auto sent = context.client_metadata().find("authorization");
      authorization = sent == context.client_metadata().end()
                          ? ""
                          : std::string(sent->second.data(), sent->second.size());
      if (!handler) return NotSet();
      status = ToGrpc(handler(request, responses));
    }
    for (const Response& response : responses) writer->Write(response);
    return status;
  }

  template <typename Request, typename Handler, typename Response>
  Status TakeUpload(const char* method, const Handler& handler, grpc::ServerReader<Request>* reader,
                    Response* response, ServerContext* context) {
    std::vector<Request> requests;
    for (Request request; reader->Read(&request); request.Clear()) requests.push_back(request);
    if (context->IsCancelled()) return Status::CANCELLED;
    return Answer(method, handler, requests, response);
  }

#define FAKE_UNARY(Method, Request, Response, handler)                                 \
  Status Method(ServerContext*, const Request* request, Response* response) override { \
    return impl->Answer(#Method, impl->server->handler, *request, response);           \
  }
#define FAKE_STREAM(Method, Request, Response, handler)                                    \
  Status Method(ServerContext* context, const Request* request,                            \
                grpc::ServerWriter<Response>* writer) override {                           \
    return impl->AnswerStream(#Method, impl->server->handler, *request, writer, *context); \
  }
#define FAKE_UPLOAD(Method, Request, Response, handler)                                          \
  Status Method(ServerContext* context, grpc::ServerReader<Request>* reader, Response* response) \
      override {                                                                                 \
    return impl->TakeUpload(#Method, impl->server->handler, reader, response, context);          \
  }

  struct Checkpoints : v1::Checkpoints::Service {
    Impl* impl = nullptr;
    FAKE_UPLOAD(CreateProgram, v1::CreateProgramRequest, v1::Program, create_program)
    FAKE_UNARY(GetProgram, v1::GetProgramRequest, v1::Program, get_program)
    FAKE_UNARY(ListPrograms, v1::ListProgramsRequest, v1::ListProgramsResponse, list_programs)
    Status DeleteProgram(ServerContext*, const v1::DeleteProgramRequest* request,
                         google::protobuf::Empty* response) override {
      const auto& handler = impl->server->delete_program;
      Unary<v1::DeleteProgramRequest, google::protobuf::Empty> wrapped;
      if (handler) wrapped = [&](const auto& asked, auto&) { return handler(asked); };
      return impl->Answer("DeleteProgram", wrapped, *request, response);
    }
    FAKE_UPLOAD(CreateCheckpoint, v1::CreateCheckpointRequest, v1::Checkpoint, create_checkpoint)
    FAKE_UNARY(GetCheckpoint, v1::GetCheckpointRequest, v1::Checkpoint, get_checkpoint)
  } checkpoints;

  struct Datasets : v1::Datasets::Service {
    Impl* impl = nullptr;
    FAKE_UNARY(CreateDataset, v1::CreateDatasetRequest, v1::Dataset, create_dataset)
    FAKE_UNARY(GetDataset, v1::GetDatasetRequest, v1::Dataset, get_dataset)
    FAKE_UNARY(ImportSamples, v1::ImportSamplesRequest, v1::ImportSamplesResponse, import_samples)
    FAKE_UPLOAD(UploadSamples, v1::UploadSamplesRequest, v1::ImportSamplesResponse, upload_samples)
    FAKE_UPLOAD(AppendSamples, v1::AppendSamplesRequest, v1::AppendSamplesResponse, append_samples)
    FAKE_UNARY(GetSample, v1::GetSampleRequest, v1::Sample, get_sample)
    FAKE_UNARY(ListSamples, v1::ListSamplesRequest, v1::ListSamplesResponse, list_samples)
  } datasets;

  struct Posteriors : v1::Posteriors::Service {
    Impl* impl = nullptr;
    FAKE_UNARY(CreatePosterior, v1::CreatePosteriorRequest, google::longrunning::Operation,
               create_posterior)
    FAKE_UNARY(GetPosterior, v1::GetPosteriorRequest, v1::Posterior, get_posterior)
    FAKE_UNARY(ExtendPosterior, v1::ExtendPosteriorRequest, google::longrunning::Operation,
               extend_posterior)
    FAKE_UNARY(ListPosteriors, v1::ListPosteriorsRequest, v1::ListPosteriorsResponse,
               list_posteriors)
    FAKE_UNARY(GetDiagnostics, v1::GetDiagnosticsRequest, v1::Diagnostics, get_diagnostics)
  } posteriors;

  struct Attribution : v1::Attribution::Service {
    Impl* impl = nullptr;
    FAKE_STREAM(Attribute, v1::AttributeRequest, v1::AttributeResponse, attribute)
    FAKE_STREAM(ScoreMatrix, v1::ScoreMatrixRequest, v1::ScoreMatrixResponse, score_matrix)
    FAKE_STREAM(SelfInfluence, v1::SelfInfluenceRequest, v1::SelfInfluenceResponse, self_influence)
    FAKE_STREAM(TokenInfluence, v1::TokenInfluenceRequest, v1::TokenInfluenceResponse,
                token_influence)
    FAKE_STREAM(GroupInfluence, v1::GroupInfluenceRequest, v1::GroupInfluenceResponse,
                group_influence)
    FAKE_STREAM(ExportTraces, v1::ExportTracesRequest, v1::ExportTracesResponse, export_traces)
  } attribution;

  struct Operations : google::longrunning::Operations::Service {
    Impl* impl = nullptr;
    FAKE_UNARY(GetOperation, google::longrunning::GetOperationRequest,
               google::longrunning::Operation, get_operation)
    FAKE_UNARY(WaitOperation, google::longrunning::WaitOperationRequest,
               google::longrunning::Operation, wait_operation)
  } operations;

  struct Watcher : v1::OperationWatcher::Service {
    Impl* impl = nullptr;
    FAKE_STREAM(WatchOperation, v1::WatchOperationRequest, v1::WatchOperationResponse,
                watch_operation)
  } watcher;

  struct Admin : v1::Admin::Service {
    Impl* impl = nullptr;
    FAKE_UNARY(GetServerInfo, v1::GetServerInfoRequest, v1::ServerInfo, get_server_info)
    FAKE_STREAM(Backup, v1::BackupRequest, v1::BackupResponse, backup)
    FAKE_STREAM(Scrub, v1::ScrubRequest, v1::ScrubResponse, scrub)
  } admin;

#undef FAKE_UNARY
#undef FAKE_STREAM
#undef FAKE_UPLOAD

  int port = 0;
  std::unique_ptr<grpc::Server> grpc_server;
};

FakeServer::FakeServer() : impl_(std::make_unique<Impl>()) {
  impl_->server = this;
  impl_->checkpoints.impl = impl_->datasets.impl = impl_->posteriors.impl =
      impl_->attribution.impl = impl_->operations.impl = impl_->watcher.impl = impl_->admin.impl =
          impl_.get();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &impl_->port);
  grpc::Service* const services[] = {&impl_->checkpoints, &impl_->datasets,   &impl_->posteriors,
                                     &impl_->attribution, &impl_->operations, &impl_->watcher,
                                     &impl_->admin};
  for (grpc::Service* service : services) builder.RegisterService(service);
  impl_->grpc_server = builder.BuildAndStart();
}

FakeServer::~FakeServer() {
  impl_->grpc_server->Shutdown();
  impl_->grpc_server->Wait();
}

std::string FakeServer::address() const { return "127.0.0.1:" + std::to_string(impl_->port); }

int FakeServer::calls(const std::string& method) const {
  absl::MutexLock lock(&impl_->mutex);
  const auto found = impl_->calls.find(method);
  return found == impl_->calls.end() ? 0 : found->second;
}

std::string FakeServer::authorization() const {
  absl::MutexLock lock(&impl_->mutex);
  return impl_->authorization;
}

google::rpc::Status MakeError(int code, const std::string& message) {
  google::rpc::Status error;
  error.set_code(code);
  error.set_message(message);
  return error;
}

google::rpc::Status WithRetryAfter(google::rpc::Status error, double seconds) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(static_cast<int64_t>(seconds));
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>((seconds - static_cast<double>(static_cast<int64_t>(seconds))) * 1e9));
  error.add_details()->PackFrom(retry);
  return error;
}

google::rpc::Status WithFieldViolation(google::rpc::Status error, const std::string& field,
                                       const std::string& description) {
  google::rpc::BadRequest bad;
  auto& violation = *bad.add_field_violations();
  violation.set_field(field);
  violation.set_description(description);
  error.add_details()->PackFrom(bad);
  return error;
}

google::rpc::Status WithErrorReason(google::rpc::Status error, const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("bif");
  error.add_details()->PackFrom(info);
  return error;
}

}  // namespace bif::client
