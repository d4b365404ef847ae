// Talks to a bifd server: every method of bif.v1 and of google.longrunning.Operations.
//
// Thread-safe; one Client serves a whole program and holds one connection, opened on first use and
// again when it broke.
//
// Failure: every method gives the server's status with its error details (client/error.h). A call
// is repeated as client/retry.h says if it is idempotent or carries a request_id, which is filled
// with a random UUID where the caller left it empty. Deletes are not repeated, because a lost
// answer would come back as NOT_FOUND.
//
// Streams call back on the caller's thread. A callback that returns an error ends the call, which
// then returns that error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bif/v1/admin.pb.h"
#include "bif/v1/attribution.pb.h"
#include "bif/v1/checkpoints.pb.h"
#include "bif/v1/datasets.pb.h"
#include "bif/v1/operations.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "client/retry.h"
#include "client/tls.h"
#include "google/longrunning/operations_proto.pb.h"

namespace bif::client {

struct ClientOptions {
  std::string server = "127.0.0.1:7311";  // or unix:PATH
  std::string token;                      // sent with every call; empty: none
  TlsFiles tls;
  // For calls that answer at once, all attempts together.
  absl::Duration call_deadline = absl::Seconds(60);
  // For uploads, imports, streams, waits and watches, all attempts together.
  absl::Duration stream_deadline = absl::InfiniteDuration();
  RetryPolicy retry;
  // How to wait between attempts; tests replace it. Empty: absl::SleepFor.
  std::function<void(absl::Duration)> sleep;
};

// Bytes sent so far, of how many. Starts again at 0 when an upload is repeated.
using UploadProgress = std::function<void(int64_t sent_bytes, int64_t total_bytes)>;

// Samples to append, one after the other. The caller owns it; it is used on the caller's thread
// alone.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  // Back to the first sample: an append is repeated from the start.
  virtual absl::Status Rewind() = 0;
  // The next sample, or nothing after the last.
  virtual absl::StatusOr<std::optional<v1::Sample>> Next() = 0;
};

struct Connection;

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // --- Programs and checkpoints. With spec.path empty, the bytes of `local_file` are uploaded in
  // chunks of 1 MiB. A file that cannot be read fails with the reason, and the server keeps
  // nothing.
  absl::StatusOr<v1::Program> CreateProgram(v1::ProgramSpec spec, const std::string& local_file,
                                            const UploadProgress& progress = {});
  absl::StatusOr<v1::Program> GetProgram(const std::string& name);
  absl::StatusOr<v1::ListProgramsResponse> ListPrograms(const v1::ListProgramsRequest& request);
  absl::Status DeleteProgram(const std::string& name);

  // As CreateProgram; with both spec.path and `local_weights` empty the weights are those of the
  // program's archive. `local_weights` may be a safetensors file, an index (*.index.json) with its
  // shards beside it, or a folder that holds model.safetensors.index.json or model.safetensors.
  absl::StatusOr<v1::Checkpoint> CreateCheckpoint(v1::CheckpointSpec spec,
                                                  const std::string& local_weights,
                                                  const UploadProgress& progress = {});
  absl::StatusOr<v1::Checkpoint> GetCheckpoint(const std::string& name);
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(
      const v1::ListCheckpointsRequest& request);
  absl::Status DeleteCheckpoint(const std::string& name);
  absl::StatusOr<v1::ListParametersResponse> ListParameters(
      const v1::ListParametersRequest& request);

  // --- Datasets.
  absl::StatusOr<v1::Dataset> CreateDataset(v1::CreateDatasetRequest request);
  absl::StatusOr<v1::ImportSamplesResponse> ImportSamples(v1::ImportSamplesRequest request);
  // The same from local files: the request's paths are theirs.
  absl::StatusOr<v1::ImportSamplesResponse> UploadSamples(v1::ImportSamplesRequest request,
                                                          const UploadProgress& progress = {});
  // Streams `samples` in messages of at most 1 MiB; a single larger sample goes alone, one above 4
  // MiB less overhead is refused with INVALID_ARGUMENT before it is sent. All become visible
  // together. `sent` hears the samples sent so far.
  absl::StatusOr<v1::AppendSamplesResponse> AppendSamples(
      const std::string& dataset, SampleSource& samples,
      const std::function<void(int64_t)>& sent = {});
  absl::StatusOr<v1::Sample> GetSample(const std::string& name);
  absl::StatusOr<v1::ListSamplesResponse> ListSamples(const v1::ListSamplesRequest& request);
  absl::StatusOr<v1::DeleteSamplesResponse> DeleteSamples(const v1::DeleteSamplesRequest& request);
  absl::StatusOr<v1::Dataset> GetDataset(const std::string& name);
  absl::StatusOr<v1::ListDatasetsResponse> ListDatasets(const v1::ListDatasetsRequest& request);
  absl::Status DeleteDataset(const std::string& name);

  // --- Posteriors. The operation's response is a Posterior, its metadata a PosteriorProgress.
  absl::StatusOr<google::longrunning::Operation> CreatePosterior(
      v1::CreatePosteriorRequest request);
  absl::StatusOr<google::longrunning::Operation> ExtendPosterior(
      v1::ExtendPosteriorRequest request);
  absl::StatusOr<v1::Posterior> GetPosterior(const std::string& name);
  absl::StatusOr<v1::Diagnostics> GetDiagnostics(const std::string& name);
  absl::StatusOr<v1::ListPosteriorsResponse> ListPosteriors(
      const v1::ListPosteriorsRequest& request);
  absl::Status DeletePosterior(const std::string& name);

  // --- Attribution.
  absl::StatusOr<google::longrunning::Operation> TraceSamples(v1::TraceSamplesRequest request);
  // Returns the final answer; `update` hears every earlier message. A broken stream is asked for
  // again from the start: traces that were computed are not computed twice.
  absl::StatusOr<v1::AttributeResponse> Attribute(
      const v1::AttributeRequest& request,
      const std::function<void(const v1::AttributeResponse&)>& update = {});
  // Blocks, in order. A stream that breaks after its first block is not repeated, so no block is
  // given twice.
  absl::Status ScoreMatrix(const v1::ScoreMatrixRequest& request,
                           absl::FunctionRef<absl::Status(const v1::ScoreMatrixResponse&)> use);
  absl::Status SelfInfluence(const v1::SelfInfluenceRequest& request,
                             absl::FunctionRef<absl::Status(const v1::SelfInfluenceResponse&)> use);
  absl::Status TokenInfluence(
      const v1::TokenInfluenceRequest& request,
      absl::FunctionRef<absl::Status(const v1::TokenInfluenceResponse&)> use);
  // Broken off, it is asked for again: traces that were computed are not computed twice.
  absl::StatusOr<v1::GroupInfluenceResponse> GroupInfluence(
      const v1::GroupInfluenceRequest& request);
  absl::Status ExportTraces(const v1::ExportTracesRequest& request,
                            absl::FunctionRef<absl::Status(const v1::ExportTracesResponse&)> use);

  // --- Operations.
  absl::StatusOr<google::longrunning::Operation> GetOperation(const std::string& name);
  absl::StatusOr<google::longrunning::ListOperationsResponse> ListOperations(
      const google::longrunning::ListOperationsRequest& request);
  // Until the operation is done or `timeout` has passed; the operation as it is then.
  absl::StatusOr<google::longrunning::Operation> WaitOperation(const std::string& name,
                                                               absl::Duration timeout);
  absl::Status CancelOperation(const std::string& name);
  absl::Status DeleteOperation(const std::string& name);
  // Every change of the operation after `after_sequence`, until it is done; returns it then. A
  // broken stream is resumed after the last change seen, so none is heard twice; the attempts of
  // the retry policy count anew after each change.
  absl::StatusOr<google::longrunning::Operation> WatchOperation(
      const std::string& name, uint64_t after_sequence,
      const std::function<void(const v1::WatchOperationResponse&)>& update = {});

  // --- Who may use the server, and what they share.
  absl::StatusOr<v1::Tenant> PutTenant(const v1::Tenant& tenant);
  absl::StatusOr<v1::ListTenantsResponse> ListTenants();
  absl::StatusOr<v1::CreateTokenResponse> CreateToken(const v1::CreateTokenRequest& request);
  absl::StatusOr<v1::ListTokensResponse> ListTokens(const std::string& tenant);
  absl::Status RevokeToken(const std::string& id);
  absl::Status Share(const std::string& name, const std::string& tenant);
  absl::Status Unshare(const std::string& name, const std::string& tenant);
  absl::StatusOr<v1::ListSharesResponse> ListShares();

  // --- The server itself.
  absl::StatusOr<v1::ServerInfo> GetServerInfo();
  absl::StatusOr<v1::ReloadResponse> Reload();
  absl::Status Drain();  // begins to stop the daemon
  // Copies the server's data to a folder of its machine, and gives the last message; `update` hears
  // every earlier one. Not repeated: after a failure the folder may have to be looked at.
  absl::StatusOr<v1::BackupResponse> Backup(
      const v1::BackupRequest& request,
      const std::function<void(const v1::BackupResponse&)>& update = {});
  // Messages, up to the one with `done` set. Not repeated.
  absl::Status Scrub(const v1::ScrubRequest& request,
                     absl::FunctionRef<absl::Status(const v1::ScrubResponse&)> use);
  // grpc.health.v1: true if SERVING. `service` empty: the server as a whole.
  absl::StatusOr<bool> IsServing(const std::string& service = "");

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace bif::client
