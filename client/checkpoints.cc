// Client: programs and checkpoints.
#include "bif/v1/checkpoints.grpc.pb.h"
#include "client/client.h"
#include "client/internal/connection.h"
#include "client/internal/upload.h"
#include "client/internal/weight_files.h"
#include "client/request_id.h"
#include "client/status_macros.h"

namespace bif::client {

absl::StatusOr<v1::Program> Client::CreateProgram(v1::ProgramSpec spec,
                                                  const std::string& local_file,
                                                  const UploadProgress& progress) {
  FillRequestId(spec);
  std::vector<LocalFile> files;
  if (!local_file.empty()) files.push_back({"", local_file});
  v1::CreateProgramRequest first;
  *first.mutable_spec() = std::move(spec);
  v1::Program created;
  absl::Status status = connection_->Call(
      connection_->options.stream_deadline, Repeatable::kYes, [&](grpc::ClientContext& context) {
        created.Clear();
        auto stub = v1::Checkpoints::NewStub(connection_->channel);
        auto writer = stub->CreateProgram(&context, &created);
        return WriteSpecAndFiles(context, *writer, first, files, progress);
      });
  if (!status.ok()) return status;
  return created;
}

absl::StatusOr<v1::Program> Client::GetProgram(const std::string& name) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kYes,
                                    &v1::Checkpoints::Stub::GetProgram,
                                    Named<v1::GetProgramRequest>(name));
}

absl::StatusOr<v1::ListProgramsResponse> Client::ListPrograms(
    const v1::ListProgramsRequest& request) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kYes,
                                    &v1::Checkpoints::Stub::ListPrograms, request);
}

absl::Status Client::DeleteProgram(const std::string& name) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kNo,
                                    &v1::Checkpoints::Stub::DeleteProgram,
                                    Named<v1::DeleteProgramRequest>(name))
      .status();
}

absl::StatusOr<v1::Checkpoint> Client::CreateCheckpoint(v1::CheckpointSpec spec,
                                                        const std::string& local_weights,
                                                        const UploadProgress& progress) {
  FillRequestId(spec);
  spec.set_from_chunks(!local_weights.empty());
  std::vector<LocalFile> files;
  if (!local_weights.empty()) {
    CLIENT_ASSIGN_OR_RETURN(files, LocalWeightFiles(local_weights));
  }
  v1::CreateCheckpointRequest first;
  *first.mutable_spec() = std::move(spec);
  v1::Checkpoint created;
  absl::Status status = connection_->Call(
      connection_->options.stream_deadline, Repeatable::kYes, [&](grpc::ClientContext& context) {
        created.Clear();
        auto stub = v1::Checkpoints::NewStub(connection_->channel);
        auto writer = stub->CreateCheckpoint(&context, &created);
        return WriteSpecAndFiles(context, *writer, first, files, progress);
      });
  if (!status.ok()) return status;
  return created;
}

absl::StatusOr<v1::Checkpoint> Client::GetCheckpoint(const std::string& name) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kYes,
                                    &v1::Checkpoints::Stub::GetCheckpoint,
                                    Named<v1::GetCheckpointRequest>(name));
}

absl::StatusOr<v1::ListCheckpointsResponse> Client::ListCheckpoints(
    const v1::ListCheckpointsRequest& request) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kYes,
                                    &v1::Checkpoints::Stub::ListCheckpoints, request);
}

absl::Status Client::DeleteCheckpoint(const std::string& name) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kNo,
                                    &v1::Checkpoints::Stub::DeleteCheckpoint,
                                    Named<v1::DeleteCheckpointRequest>(name))
      .status();
}

absl::StatusOr<v1::ListParametersResponse> Client::ListParameters(
    const v1::ListParametersRequest& request) {
  return UnaryCall<v1::Checkpoints>(*connection_, Repeatable::kYes,
                                    &v1::Checkpoints::Stub::ListParameters, request);
}

}  // namespace bif::client
