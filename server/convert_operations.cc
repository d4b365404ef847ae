#include "server/convert_operations.h"

#include "bif/v1/attribution.pb.h"
#include "server/convert_common.h"
#include "server/convert_posteriors.h"
#include "server/convert_settings.h"
#include "server/errors.h"

namespace bif::server {
namespace {

// What both kinds of progress tell.
template <typename Progress>
Progress CommonProgressOf(const jobs::Operation& operation) {
  const jobs::OperationProgress& progress = operation.progress;
  Progress proto;
  proto.set_posterior(operation.target);
  proto.set_stage(progress.stage);
  proto.set_draws_done(progress.draws_done);
  proto.set_draws_total(progress.draws_total);
  proto.set_draws_per_second(progress.draws_per_second);
  proto.set_sequence(operation.sequence);
  return proto;
}

v1::PosteriorProgress PosteriorProgressOf(const jobs::Operation& operation) {
  const jobs::OperationProgress& progress = operation.progress;
  auto proto = CommonProgressOf<v1::PosteriorProgress>(operation);
  if (progress.remaining.has_value()) ToProto(*progress.remaining, proto.mutable_remaining());
  if (progress.estimate.has_value()) ToProto(*progress.estimate, proto.mutable_estimate());
  proto.set_chains_diverged(progress.chains_diverged);
  proto.set_ess_bulk(progress.ess_bulk);
  if (progress.stopping.has_value()) ToProto(*progress.stopping, proto.mutable_stopping());
  return proto;
}

v1::TraceProgress TraceProgressOf(const jobs::Operation& operation) {
  auto proto = CommonProgressOf<v1::TraceProgress>(operation);
  proto.set_rows(operation.progress.rows);
  return proto;
}

}  // namespace

google::longrunning::Operation OperationToProto(const jobs::Operation& operation,
                                                jobs::Posteriors& posteriors) {
  google::longrunning::Operation proto;
  proto.set_name(operation.name);
  proto.set_done(operation.done);
  const bool trace = operation.kind == jobs::kTraceOperation;
  if (trace) {
    proto.mutable_metadata()->PackFrom(TraceProgressOf(operation));
  } else {
    proto.mutable_metadata()->PackFrom(PosteriorProgressOf(operation));
  }
  if (!operation.done) return proto;
  if (!operation.error.ok()) {
    *proto.mutable_error() = ToRpcStatus(operation.error, operation.name);
    return proto;
  }
  if (trace) {
    v1::TraceSamplesResponse response;
    response.set_traced(operation.result.rows_traced);
    response.set_already_there(operation.result.rows_already_there);
    proto.mutable_response()->PackFrom(response);
    return proto;
  }
  v1::Posterior response;
  const absl::StatusOr<jobs::Posterior> posterior = posteriors.Get(operation.target);
  if (posterior.ok()) {
    ToProto(*posterior, &response);
    response.mutable_settings()->clear_replay_batches();  // GetPosterior has them
  } else if (absl::IsNotFound(posterior.status())) {
    // An operation that ended well did not fail because its posterior was deleted later.
    response.set_name(operation.target);
    response.set_state_reason("it has been deleted");
  } else {
    *proto.mutable_error() = ToRpcStatus(posterior.status(), operation.name);
    return proto;
  }
  proto.mutable_response()->PackFrom(response);
  return proto;
}

google::longrunning::Operation EstimateToProto(const jobs::CostEstimate& estimate,
                                               const jobs::PosteriorSpec& spec) {
  v1::PosteriorProgress progress;
  progress.set_stage("validated");
  ToProto(estimate, progress.mutable_estimate());
  v1::Posterior posterior;
  posterior.set_checkpoint(spec.checkpoint);
  posterior.set_dataset(spec.dataset);
  ToProto(spec.settings, posterior.mutable_settings());
  google::longrunning::Operation proto;
  proto.set_done(true);
  proto.mutable_metadata()->PackFrom(progress);
  proto.mutable_response()->PackFrom(posterior);
  return proto;
}

}  // namespace bif::server
