#include "bif/v1/posteriors.grpc.pb.h"
#include "server/convert_common.h"
#include "server/convert_operations.h"
#include "server/convert_posteriors.h"
#include "server/services.h"
#include "server/unary_call.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

class PosteriorsService final : public v1::Posteriors::CallbackService {
 public:
  explicit PosteriorsService(CallRuntime& runtime)
      : runtime_(runtime), posteriors_(runtime.jobs.posteriors()) {}

  grpc::ServerUnaryReactor* CreatePosterior(grpc::CallbackServerContext* context,
                                            const v1::CreatePosteriorRequest* request,
                                            google::longrunning::Operation* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Posteriors/CreatePosterior", request, response,
        [=, this](const Caller& caller) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const jobs::PosteriorSpec spec, FromProto(*request, caller.tenant));
          if (request->validate_only()) {
            BIF_ASSIGN_OR_RETURN(const jobs::CostEstimate estimate, posteriors_.Estimate(spec));
            *response = EstimateToProto(estimate, spec);
            return absl::OkStatus();
          }
          return Answer(posteriors_.Create(spec), response);
        });
  }

  grpc::ServerUnaryReactor* ExtendPosterior(grpc::CallbackServerContext* context,
                                            const v1::ExtendPosteriorRequest* request,
                                            google::longrunning::Operation* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Posteriors/ExtendPosterior", request, response,
        [=, this](const Caller& caller) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(const int priority, PriorityFromProto(request->priority()));
          if (request->has_target()) {
            if (request->draws_per_chain() != 0) {
              return FieldError("draws_per_chain",
                                "is for runs without a target; the budget is "
                                "target.max_draws_per_chain");
            }
            BIF_ASSIGN_OR_RETURN(const jobs::TargetSpec target, FromProto(request->target()));
            return Answer(posteriors_.Extend({.tenant = caller.tenant, .id = request->request_id()},
                                             request->name(), target, priority),
                          response);
          }
          return Answer(posteriors_.Extend({.tenant = caller.tenant, .id = request->request_id()},
                                           request->name(), request->draws_per_chain(), priority),
                        response);
        });
  }

  grpc::ServerUnaryReactor* GetPosterior(grpc::CallbackServerContext* context,
                                         const v1::GetPosteriorRequest* request,
                                         v1::Posterior* response) override {
    return StartUnary(runtime_, context, "bif.v1.Posteriors/GetPosterior", request, response,
                      [=, this](const Caller&) {
                        return Fill(posteriors_.Get(request->name()), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* GetDiagnostics(grpc::CallbackServerContext* context,
                                           const v1::GetDiagnosticsRequest* request,
                                           v1::Diagnostics* response) override {
    return StartUnary(runtime_, context, "bif.v1.Posteriors/GetDiagnostics", request, response,
                      [=, this](const Caller&) {
                        return Fill(posteriors_.Diagnose(request->name()), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* ListPosteriors(grpc::CallbackServerContext* context,
                                           const v1::ListPosteriorsRequest* request,
                                           v1::ListPosteriorsResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Posteriors/ListPosteriors", request, response,
                      [=, this](const Caller& caller) {
                        return Fill(posteriors_.List(PageOf(*request, caller.tenant)), response,
                                    ToProto);
                      });
  }

  grpc::ServerUnaryReactor* DeletePosterior(grpc::CallbackServerContext* context,
                                            const v1::DeletePosteriorRequest* request,
                                            google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "bif.v1.Posteriors/DeletePosterior", request, response,
                      [=, this](const Caller&) { return posteriors_.Delete(request->name()); });
  }

 private:
  absl::Status Answer(const absl::StatusOr<jobs::Operation>& operation,
                      google::longrunning::Operation* response) {
    if (!operation.ok()) return operation.status();
    observe::LogInfo("operation", {{"operation", operation->name},
                                   {"posterior", operation->target},
                                   {"done", operation->done}});
    *response = OperationToProto(*operation, posteriors_);
    return absl::OkStatus();
  }

  CallRuntime& runtime_;
  jobs::Posteriors& posteriors_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakePosteriorsService(CallRuntime& runtime) {
  return std::make_unique<PosteriorsService>(runtime);
}

}  // namespace bif::server
