// A bifd that answers what a test tells it to, in the test's process, over a real connection on
// 127.0.0.1.
//
// Set handlers before the first call; each runs on one of the server's threads, under the server's
// own lock, so a handler may use the test's variables without one. A method without a handler
// answers UNIMPLEMENTED. Every call is counted.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bif/v1/admin.pb.h"
#include "bif/v1/attribution.pb.h"
#include "bif/v1/checkpoints.pb.h"
#include "bif/v1/datasets.pb.h"
#include "bif/v1/operations.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "google/longrunning/operations_proto.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace bif::client {

class FakeServer {
 public:
  using Error = google::rpc::Status;  // code 0 is success
  template <typename Request, typename Response>
  using Unary = std::function<Error(const Request&, Response&)>;
  // The server's side of a stream: messages to send, then how it ends.
  template <typename Request, typename Response>
  using Stream = std::function<Error(const Request&, std::vector<Response>&)>;
  // The client's side of a stream: all messages that arrived.
  template <typename Request, typename Response>
  using Upload = std::function<Error(const std::vector<Request>&, Response&)>;

  FakeServer();
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string address() const;
  // How often a method was called, by its name, e.g. "GetProgram".
  int calls(const std::string& method) const;
  std::string authorization() const;  // metadata of the last stream that a client read

  Upload<v1::CreateProgramRequest, v1::Program> create_program;
  Unary<v1::GetProgramRequest, v1::Program> get_program;
  Unary<v1::ListProgramsRequest, v1::ListProgramsResponse> list_programs;
  std::function<Error(const v1::DeleteProgramRequest&)> delete_program;
  Upload<v1::CreateCheckpointRequest, v1::Checkpoint> create_checkpoint;
  Unary<v1::GetCheckpointRequest, v1::Checkpoint> get_checkpoint;
  Unary<v1::CreateDatasetRequest, v1::Dataset> create_dataset;
  Unary<v1::GetDatasetRequest, v1::Dataset> get_dataset;
  Unary<v1::ImportSamplesRequest, v1::ImportSamplesResponse> import_samples;
  Upload<v1::UploadSamplesRequest, v1::ImportSamplesResponse> upload_samples;
  Upload<v1::AppendSamplesRequest, v1::AppendSamplesResponse> append_samples;
  Unary<v1::GetSampleRequest, v1::Sample> get_sample;
  Unary<v1::ListSamplesRequest, v1::ListSamplesResponse> list_samples;
  Unary<v1::CreatePosteriorRequest, google::longrunning::Operation> create_posterior;
  Unary<v1::GetPosteriorRequest, v1::Posterior> get_posterior;
  Unary<v1::ExtendPosteriorRequest, google::longrunning::Operation> extend_posterior;
  Unary<v1::ListPosteriorsRequest, v1::ListPosteriorsResponse> list_posteriors;
  Unary<v1::GetDiagnosticsRequest, v1::Diagnostics> get_diagnostics;
  Stream<v1::AttributeRequest, v1::AttributeResponse> attribute;
  Stream<v1::ScoreMatrixRequest, v1::ScoreMatrixResponse> score_matrix;
  Stream<v1::SelfInfluenceRequest, v1::SelfInfluenceResponse> self_influence;
  Stream<v1::TokenInfluenceRequest, v1::TokenInfluenceResponse> token_influence;
  Stream<v1::GroupInfluenceRequest, v1::GroupInfluenceResponse> group_influence;
  Stream<v1::ExportTracesRequest, v1::ExportTracesResponse> export_traces;
  Unary<google::longrunning::GetOperationRequest, google::longrunning::Operation> get_operation;
  Unary<google::longrunning::WaitOperationRequest, google::longrunning::Operation> wait_operation;
  Stream<v1::WatchOperationRequest, v1::WatchOperationResponse> watch_operation;
  Unary<v1::GetServerInfoRequest, v1::ServerInfo> get_server_info;
  Stream<v1::BackupRequest, v1::BackupResponse> backup;
  Stream<v1::ScrubRequest, v1::ScrubResponse> scrub;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// An error as bifd sends it.
google::rpc::Status MakeError(int code, const std::string& message);
google::rpc::Status WithRetryAfter(google::rpc::Status error, double seconds);
google::rpc::Status WithFieldViolation(google::rpc::Status error, const std::string& field,
                                       const std::string& description);
google::rpc::Status WithErrorReason(google::rpc::Status error, const std::string& reason);

}  // namespace bif::client
