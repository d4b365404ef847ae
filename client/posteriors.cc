// Client: posteriors.
#include "bif/v1/posteriors.grpc.pb.h"
#include "client/client.h"
#include "client/internal/connection.h"
#include "client/request_id.h"

namespace bif::client {

absl::StatusOr<google::longrunning::Operation> Client::CreatePosterior(
    v1::CreatePosteriorRequest request) {
  FillRequestId(request);
  return UnaryCall<v1::Posteriors>(*connection_, Repeatable::kYes,
                                   &v1::Posteriors::Stub::CreatePosterior, request);
}

absl::StatusOr<google::longrunning::Operation> Client::ExtendPosterior(
    v1::ExtendPosteriorRequest request) {
  FillRequestId(request);
  return UnaryCall<v1::Posteriors>(*connection_, Repeatable::kYes,
                                   &v1::Posteriors::Stub::ExtendPosterior, request);
}

absl::StatusOr<v1::Posterior> Client::GetPosterior(const std::string& name) {
  return UnaryCall<v1::Posteriors>(*connection_, Repeatable::kYes,
                                   &v1::Posteriors::Stub::GetPosterior,
                                   Named<v1::GetPosteriorRequest>(name));
}

absl::StatusOr<v1::Diagnostics> Client::GetDiagnostics(const std::string& name) {
  return UnaryCall<v1::Posteriors>(*connection_, Repeatable::kYes,
                                   &v1::Posteriors::Stub::GetDiagnostics,
                                   Named<v1::GetDiagnosticsRequest>(name));
}

absl::StatusOr<v1::ListPosteriorsResponse> Client::ListPosteriors(
    const v1::ListPosteriorsRequest& request) {
  return UnaryCall<v1::Posteriors>(*connection_, Repeatable::kYes,
                                   &v1::Posteriors::Stub::ListPosteriors, request);
}

absl::Status Client::DeletePosterior(const std::string& name) {
  return UnaryCall<v1::Posteriors>(*connection_, Repeatable::kNo,
                                   &v1::Posteriors::Stub::DeletePosterior,
                                   Named<v1::DeletePosteriorRequest>(name))
      .status();
}

}  // namespace bif::client
