#include "bif/v1/attribution.grpc.pb.h"
#include "server/convert_attribution.h"
#include "server/convert_operations.h"
#include "server/server_stream_call.h"
#include "server/services.h"
#include "server/unary_call.h"
#include "src/base/status.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

class AttributionService final : public v1::Attribution::CallbackService {
 public:
  explicit AttributionService(CallRuntime& runtime)
      : runtime_(runtime), queries_(runtime.jobs.queries()) {}

  grpc::ServerUnaryReactor* TraceSamples(grpc::CallbackServerContext* context,
                                         const v1::TraceSamplesRequest* request,
                                         google::longrunning::Operation* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Attribution/TraceSamples", request, response,
        [=, this](const Caller& caller) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::TraceSamplesRequest wanted,
                               FromProto(*request, caller.tenant));
          BIF_ASSIGN_OR_RETURN(const jobs::Operation operation, queries_.TraceSamples(wanted));
          observe::LogInfo("operation",
                           {{"operation", operation.name}, {"posterior", operation.target}});
          *response = OperationToProto(operation, runtime_.jobs.posteriors());
          return absl::OkStatus();
        });
  }

  grpc::ServerWriteReactor<v1::AttributeResponse>* Attribute(
      grpc::CallbackServerContext* context, const v1::AttributeRequest* request) override {
    using Response = v1::AttributeResponse;
    return ServerStreamCall<Response>::Start(
        runtime_, context, "bif.v1.Attribution/Attribute", request,
        [=, this](const Caller& caller, StreamWriter<Response>& writer) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::AttributeRequest question,
                               FromProto(*request, caller.tenant));
          return queries_.Attribute(question, writer.cancel(),
                                    [&](const jobs::AttributeUpdate& update) {
                                      Response message;
                                      ToProto(update, &message);
                                      if (update.final) return writer.Write(std::move(message));
                                      writer.WriteProgress(std::move(message));
                                      return absl::OkStatus();
                                    });
        });
  }

  grpc::ServerWriteReactor<v1::ScoreMatrixResponse>* ScoreMatrix(
      grpc::CallbackServerContext* context, const v1::ScoreMatrixRequest* request) override {
    using Response = v1::ScoreMatrixResponse;
    return ServerStreamCall<Response>::Start(
        runtime_, context, "bif.v1.Attribution/ScoreMatrix", request,
        [=, this](const Caller& caller, StreamWriter<Response>& writer) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::ScoreMatrixRequest question,
                               FromProto(*request, caller.tenant));
          bool first = request->resume_token().empty();
          return queries_.ScoreMatrix(question, writer.cancel(),
                                      [&](const jobs::ScoreBlock& block) {
                                        Response message;
                                        ToProto(block, first, &message);
                                        first = false;
                                        return writer.Write(std::move(message));
                                      });
        });
  }

  grpc::ServerWriteReactor<v1::SelfInfluenceResponse>* SelfInfluence(
      grpc::CallbackServerContext* context, const v1::SelfInfluenceRequest* request) override {
    using Response = v1::SelfInfluenceResponse;
    return ServerStreamCall<Response>::Start(
        runtime_, context, "bif.v1.Attribution/SelfInfluence", request,
        [=, this](const Caller& caller, StreamWriter<Response>& writer) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::SelfInfluenceRequest question,
                               FromProto(*request, caller.tenant));
          bool first = request->resume_token().empty();
          return queries_.SelfInfluence(question, writer.cancel(),
                                        [&](const jobs::SelfInfluenceBlock& block) {
                                          Response message;
                                          ToProto(block, first, &message);
                                          first = false;
                                          return writer.Write(std::move(message));
                                        });
        });
  }

  grpc::ServerWriteReactor<v1::TokenInfluenceResponse>* TokenInfluence(
      grpc::CallbackServerContext* context, const v1::TokenInfluenceRequest* request) override {
    using Response = v1::TokenInfluenceResponse;
    return ServerStreamCall<Response>::Start(
        runtime_, context, "bif.v1.Attribution/TokenInfluence", request,
        [=, this](const Caller& caller, StreamWriter<Response>& writer) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::TokenInfluenceRequest question,
                               FromProto(*request, caller.tenant));
          bool first = true;
          return queries_.TokenInfluence(question, writer.cancel(),
                                         [&](const jobs::TokenInfluenceBlock& block) {
                                           Response message;
                                           ToProto(block, first, &message);
                                           first = false;
                                           return writer.Write(std::move(message));
                                         });
        });
  }

  grpc::ServerWriteReactor<v1::GroupInfluenceResponse>* GroupInfluence(
      grpc::CallbackServerContext* context, const v1::GroupInfluenceRequest* request) override {
    using Response = v1::GroupInfluenceResponse;
    return ServerStreamCall<Response>::Start(
        runtime_, context, "bif.v1.Attribution/GroupInfluence", request,
        [=, this](const Caller& caller, StreamWriter<Response>& writer) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::GroupInfluenceRequest question,
                               FromProto(*request, caller.tenant));
          BIF_ASSIGN_OR_RETURN(const jobs::GroupInfluenceAnswer answer,
                               queries_.GroupInfluence(question, writer.cancel()));
          Response message;
          ToProto(answer, &message);
          return writer.Write(std::move(message));
        });
  }

  grpc::ServerWriteReactor<v1::ExportTracesResponse>* ExportTraces(
      grpc::CallbackServerContext* context, const v1::ExportTracesRequest* request) override {
    using Response = v1::ExportTracesResponse;
    return ServerStreamCall<Response>::Start(
        runtime_, context, "bif.v1.Attribution/ExportTraces", request,
        [=, this](const Caller& caller, StreamWriter<Response>& writer) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::ExportTracesRequest question,
                               FromProto(*request, caller.tenant));
          return queries_.ExportTraces(question, writer.cancel(),
                                       [&](const jobs::TraceExportBlock& block) {
                                         Response message;
                                         ToProto(block, &message);
                                         return writer.Write(std::move(message));
                                       });
        });
  }

 private:
  CallRuntime& runtime_;
  jobs::Queries& queries_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAttributionService(CallRuntime& runtime) {
  return std::make_unique<AttributionService>(runtime);
}

}  // namespace bif::server
