#include "bif/v1/checkpoints.grpc.pb.h"
#include "server/client_stream_call.h"
#include "server/convert_checkpoints.h"
#include "server/convert_common.h"
#include "server/convert_settings.h"
#include "server/services.h"
#include "server/unary_call.h"
#include "server/upload_receiver.h"

namespace bif::server {
namespace {

class ProgramReceiver final : public MessageReceiver<v1::CreateProgramRequest> {
 public:
  ProgramReceiver(jobs::Checkpoints& checkpoints, const Caller& caller, v1::Program* response)
      : checkpoints_(checkpoints),
        tenant_(caller.tenant),
        upload_([&] { return checkpoints_.NewUpload(); }),
        response_(response) {}

  absl::Status OnMessage(const v1::CreateProgramRequest& message) override {
    if (message.has_chunk()) return upload_.AddChunk(message.chunk(), path_.empty());
    if (!message.has_spec()) return upload_.CountEmpty();
    BIF_RETURN_IF_ERROR(upload_.CountSpec());
    path_ = message.spec().path();
    BIF_ASSIGN_OR_RETURN(spec_, FromProto(message.spec(), tenant_));
    return absl::OkStatus();
  }

  absl::Status OnEnd() override {
    if (!upload_.has_spec())
      return FieldError("spec", "is missing; the first message must carry it");
    if (!path_.empty()) return Fill(checkpoints_.CreateProgram(spec_, path_), response_, ToProto);
    if (!upload_.has_file())
      return FieldError("spec.path", "is empty, and no file followed in chunks");
    return Fill(checkpoints_.CreateProgram(spec_, upload_.TakeFile()), response_, ToProto);
  }

 private:
  jobs::Checkpoints& checkpoints_;
  const std::string tenant_;
  UploadState upload_;
  jobs::ProgramSpec spec_;
  std::string path_;
  v1::Program* const response_;
};

class CheckpointReceiver final : public MessageReceiver<v1::CreateCheckpointRequest> {
 public:
  CheckpointReceiver(jobs::Checkpoints& checkpoints, const Caller& caller, v1::Checkpoint* response)
      : checkpoints_(checkpoints),
        tenant_(caller.tenant),
        upload_([&] { return checkpoints_.NewUpload(); }),
        response_(response) {}

  absl::Status OnMessage(const v1::CreateCheckpointRequest& message) override {
    if (message.has_chunk()) return upload_.AddChunk(message.chunk(), from_chunks_);
    if (message.has_file()) return upload_.StartFile(message.file(), from_chunks_);
    if (!message.has_spec()) return upload_.CountEmpty();
    BIF_RETURN_IF_ERROR(upload_.CountSpec());
    spec_ = FromProto(message.spec(), tenant_);
    path_ = message.spec().path();
    from_chunks_ = message.spec().from_chunks();
    if (from_chunks_ && !path_.empty())
      return FieldError("spec.path", "and from_chunks exclude each other");
    return absl::OkStatus();
  }

  absl::Status OnEnd() override {
    if (!upload_.has_spec())
      return FieldError("spec", "is missing; the first message must carry it");
    if (!path_.empty())
      return Fill(checkpoints_.CreateCheckpoint(spec_, path_), response_, ToProto);
    if (!from_chunks_) return Fill(checkpoints_.CreateCheckpoint(spec_), response_, ToProto);
    if (!upload_.has_file()) return FieldError("spec.from_chunks", "is set, but no chunk followed");
    return Fill(checkpoints_.CreateCheckpoint(spec_, upload_.TakeFiles()), response_, ToProto);
  }

 private:
  jobs::Checkpoints& checkpoints_;
  const std::string tenant_;
  UploadState upload_;
  jobs::CheckpointSpec spec_;
  std::string path_;
  bool from_chunks_ = false;
  v1::Checkpoint* const response_;
};

class CheckpointsService final : public v1::Checkpoints::CallbackService {
 public:
  explicit CheckpointsService(CallRuntime& runtime)
      : runtime_(runtime), checkpoints_(runtime.jobs.checkpoints()) {}

  grpc::ServerReadReactor<v1::CreateProgramRequest>* CreateProgram(
      grpc::CallbackServerContext* context, v1::Program* response) override {
    return ClientStreamCall<v1::CreateProgramRequest>::Start(
        runtime_, context, "bif.v1.Checkpoints/CreateProgram", response,
        [=, this](const Caller& caller) {
          return std::make_unique<ProgramReceiver>(checkpoints_, caller, response);
        });
  }

  grpc::ServerReadReactor<v1::CreateCheckpointRequest>* CreateCheckpoint(
      grpc::CallbackServerContext* context, v1::Checkpoint* response) override {
    return ClientStreamCall<v1::CreateCheckpointRequest>::Start(
        runtime_, context, "bif.v1.Checkpoints/CreateCheckpoint", response,
        [=, this](const Caller& caller) {
          return std::make_unique<CheckpointReceiver>(checkpoints_, caller, response);
        });
  }

  grpc::ServerUnaryReactor* GetProgram(grpc::CallbackServerContext* context,
                                       const v1::GetProgramRequest* request,
                                       v1::Program* response) override {
    return StartUnary(runtime_, context, "bif.v1.Checkpoints/GetProgram", request, response,
                      [=, this](const Caller&) {
                        return Fill(checkpoints_.GetProgram(request->name()), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* ListPrograms(grpc::CallbackServerContext* context,
                                         const v1::ListProgramsRequest* request,
                                         v1::ListProgramsResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Checkpoints/ListPrograms", request, response,
                      [=, this](const Caller& caller) {
                        return Fill(checkpoints_.ListPrograms(PageOf(*request, caller.tenant)),
                                    response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* DeleteProgram(grpc::CallbackServerContext* context,
                                          const v1::DeleteProgramRequest* request,
                                          google::protobuf::Empty* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Checkpoints/DeleteProgram", request, response,
        [=, this](const Caller&) { return checkpoints_.DeleteProgram(request->name()); });
  }

  grpc::ServerUnaryReactor* GetCheckpoint(grpc::CallbackServerContext* context,
                                          const v1::GetCheckpointRequest* request,
                                          v1::Checkpoint* response) override {
    return StartUnary(runtime_, context, "bif.v1.Checkpoints/GetCheckpoint", request, response,
                      [=, this](const Caller&) {
                        return Fill(checkpoints_.GetCheckpoint(request->name()), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* ListCheckpoints(grpc::CallbackServerContext* context,
                                            const v1::ListCheckpointsRequest* request,
                                            v1::ListCheckpointsResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Checkpoints/ListCheckpoints", request, response,
                      [=, this](const Caller& caller) {
                        return Fill(checkpoints_.ListCheckpoints(PageOf(*request, caller.tenant)),
                                    response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* DeleteCheckpoint(grpc::CallbackServerContext* context,
                                             const v1::DeleteCheckpointRequest* request,
                                             google::protobuf::Empty* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Checkpoints/DeleteCheckpoint", request, response,
        [=, this](const Caller&) { return checkpoints_.DeleteCheckpoint(request->name()); });
  }

  grpc::ServerUnaryReactor* ListParameters(grpc::CallbackServerContext* context,
                                           const v1::ListParametersRequest* request,
                                           v1::ListParametersResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Checkpoints/ListParameters", request, response,
                      [=, this](const Caller&) {
                        return Fill(checkpoints_.ListParameters(request->checkpoint(),
                                                                FromProto(request->filter())),
                                    response, ToProto);
                      });
  }

 private:
  CallRuntime& runtime_;
  jobs::Checkpoints& checkpoints_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeCheckpointsService(CallRuntime& runtime) {
  return std::make_unique<CheckpointsService>(runtime);
}

}  // namespace bif::server
