#include "server/convert_attribution.h"

#include "server/call_runtime.h"
#include "server/convert_common.h"

namespace bif::server {
namespace {

absl::StatusOr<jobs::SampleSet> SampleSetFromProto(const v1::SampleSet& proto,
                                                   const std::string& path,
                                                   const std::string& tenant) {
  jobs::SampleSet set;
  set.tenant = tenant;
  BIF_ASSIGN_OR_RETURN(set.inline_samples, FromProto(proto.inline_(), path + ".inline"));
  set.dataset = proto.dataset();
  set.sample_ids = Strings(proto.sample_ids());
  if (!set.inline_samples.empty() && !set.dataset.empty()) {
    return FieldError(path, "holds inline samples and a dataset; give one of them");
  }
  if (set.dataset.empty() && !set.sample_ids.empty()) {
    return FieldError(path + ".dataset", "is missing; sample_ids are of a dataset");
  }
  return set;
}

absl::StatusOr<engine::Observable> ObservableFromProto(const v1::Observable& proto) {
  engine::Observable observable;
  BIF_ASSIGN_OR_RETURN(observable.kind,
                       EnumFromProto(proto.kind(), v1::ObservableKind_IsValid(proto.kind()),
                                     observable.kind, "observable.kind"));
  using engine::ObservableKind;
  const ObservableKind kind = observable.kind;
  const bool difference = kind == ObservableKind::kLogitDifference;
  const bool logit = difference || kind == ObservableKind::kLogit;
  const bool span = kind == ObservableKind::kSpanLoss;
  const bool position = logit || kind == ObservableKind::kTokenProbability;
  struct Field {
    const char* name;
    uint32_t value;
    bool belongs;
    uint32_t& to;
    const char* whose;
  };
  for (const Field& field : {
           Field{"logit_index", proto.logit_index(), logit, observable.logit_index,
                 "LOGIT and LOGIT_DIFFERENCE"},
           Field{"other_logit_index", proto.other_logit_index(), difference,
                 observable.other_logit_index, "LOGIT_DIFFERENCE"},
           Field{"span_begin", proto.span_begin(), span, observable.span_begin, "SPAN_LOSS"},
           Field{"span_end", proto.span_end(), span, observable.span_end, "SPAN_LOSS"},
           Field{"position", proto.position(), position, observable.position,
                 "TOKEN_PROBABILITY, LOGIT and LOGIT_DIFFERENCE"},
       }) {
    if (field.belongs) {
      field.to = field.value;
    } else if (field.value != 0) {
      return FieldError(std::string("observable.") + field.name,
                        std::string("belongs to ") + field.whose + " only");
    }
  }
  return observable;
}

// Estimator, centring and observable: the same fields in several requests.
template <typename Request, typename Proto>
absl::Status FillScoring(const Proto& proto, Request& request) {
  BIF_ASSIGN_OR_RETURN(request.estimator,
                       EnumFromProto(proto.estimator(), v1::Estimator_IsValid(proto.estimator()),
                                     request.estimator, "estimator"));
  BIF_ASSIGN_OR_RETURN(request.centring,
                       EnumFromProto(proto.centring(), v1::Centring_IsValid(proto.centring()),
                                     request.centring, "centring"));
  BIF_ASSIGN_OR_RETURN(request.observable, ObservableFromProto(proto.observable()));
  return absl::OkStatus();
}

jobs::PathwiseOptions PathwiseFromProto(const v1::PathwiseOptions& proto) {
  return {.draws = proto.draws()};
}

absl::StatusOr<jobs::RefineSpec> RefineFromProto(const v1::RefineOptions& proto) {
  jobs::RefineSpec refine;
  BIF_ASSIGN_OR_RETURN(refine.estimator,
                       EnumFromProto(proto.estimator(), v1::Estimator_IsValid(proto.estimator()),
                                     refine.estimator, "refine.estimator"));
  if (proto.has_time()) refine.time = FromProto(proto.time());
  refine.forward_passes = proto.forward_passes();
  refine.simultaneous = proto.simultaneous();
  return refine;
}

// No message of a request has a map, so equal requests have equal bytes.
template <typename Proto>
jobs::Resumption ResumptionOf(const Proto& proto) {
  Proto rest = proto;
  rest.clear_resume_token();
  if constexpr (requires { rest.clear_priority(); })
    rest.clear_priority();  // may change on the way
  return {proto.GetDescriptor()->full_name() + rest.SerializeAsString(), proto.resume_token()};
}

void PathwiseToProto(const jobs::PathwiseProvenance& pathwise, v1::PathwiseProvenance* proto) {
  proto->set_stretches(pathwise.stretches);
  proto->set_draws(pathwise.draws);
  proto->set_steps_between_slopes(pathwise.steps_between_slopes);
  proto->set_tangent_burn_in_steps(pathwise.tangent_burn_in_steps);
  proto->set_bias_bound(pathwise.bias_bound);
  proto->set_hessian(static_cast<v1::DerivativeMethod>(pathwise.derivatives.hessian));
  proto->set_slopes(static_cast<v1::DerivativeMethod>(pathwise.derivatives.slopes));
  proto->set_derivatives_reason(pathwise.derivatives.reason);
  proto->set_preconditioner_held_fixed(pathwise.preconditioner_held_fixed);
  for (const jobs::StretchLeftOut& stretch : pathwise.left_out) {
    v1::StretchLeftOut* out = proto->add_left_out();
    out->set_chain(stretch.chain);
    out->set_from_step(stretch.from_step);
    if (stretch.query.has_value()) out->set_query(*stretch.query);
    out->set_reason(stretch.reason);
  }
  proto->set_states_missing(pathwise.states_missing);
  proto->set_stretches_from_the_checkpoint(pathwise.stretches_from_the_checkpoint);
  proto->set_forward_passes(pathwise.forward_passes);
  proto->set_jackknife_blocks(pathwise.jackknife_blocks);
  proto->mutable_pathwise_weight()->Assign(pathwise.pathwise_weight.begin(),
                                           pathwise.pathwise_weight.end());
  proto->mutable_share_that_disagree()->Assign(pathwise.share_that_disagree.begin(),
                                               pathwise.share_that_disagree.end());
}

void ProvenanceToProto(const jobs::Provenance& provenance, v1::Provenance* proto) {
  proto->set_posterior(provenance.posterior);
  proto->set_estimator(static_cast<v1::Estimator>(provenance.estimator));
  proto->set_centring(static_cast<v1::Centring>(provenance.centring));
  const engine::Observable& observable = provenance.observable;
  proto->mutable_observable()->set_kind(static_cast<v1::ObservableKind>(observable.kind));
  proto->mutable_observable()->set_logit_index(observable.logit_index);
  proto->mutable_observable()->set_other_logit_index(observable.other_logit_index);
  proto->mutable_observable()->set_span_begin(observable.span_begin);
  proto->mutable_observable()->set_span_end(observable.span_end);
  proto->mutable_observable()->set_position(observable.position);
  proto->set_chains(provenance.chains);
  proto->set_draws_per_chain(provenance.draws_per_chain);
  proto->mutable_chains_left_out()->Assign(provenance.chains_left_out.begin(),
                                           provenance.chains_left_out.end());
  proto->set_jackknife_blocks(provenance.jackknife_blocks);
  proto->set_numerics(provenance.numerics);
  proto->set_draws_left_out(provenance.draws_left_out);
  if (provenance.pathwise.has_value())
    PathwiseToProto(*provenance.pathwise, proto->mutable_pathwise());
}

void ScoreToProto(const jobs::ScoredSample& score, v1::Score* proto) {
  proto->set_sample_id(score.sample_id);
  proto->set_score(score.score);
  proto->set_standard_error(score.standard_error);
  proto->set_distinguishable(score.distinguishable);
  proto->set_constant(score.constant);
  proto->set_helps(score.helps);
  proto->set_refined(score.refined);
}

void Assign(const std::vector<float>& values, google::protobuf::RepeatedField<float>* proto) {
  proto->Assign(values.begin(), values.end());
}

void Assign(const std::vector<std::string>& values,
            google::protobuf::RepeatedPtrField<std::string>* proto) {
  proto->Assign(values.begin(), values.end());
}

}  // namespace

absl::StatusOr<jobs::AttributeRequest> FromProto(const v1::AttributeRequest& proto,
                                                 const std::string& tenant) {
  jobs::AttributeRequest request;
  request.posterior = proto.posterior();
  BIF_ASSIGN_OR_RETURN(request.queries, SampleSetFromProto(proto.queries(), "queries", tenant));
  BIF_ASSIGN_OR_RETURN(request.candidates,
                       SampleSetFromProto(proto.candidates(), "candidates", tenant));
  BIF_RETURN_IF_ERROR(FillScoring(proto, request));
  request.top_k = proto.top_k();
  BIF_ASSIGN_OR_RETURN(request.priority, PriorityFromProto(proto.priority()));
  request.pathwise = PathwiseFromProto(proto.pathwise());
  if (proto.has_refine()) {
    BIF_ASSIGN_OR_RETURN(request.refine, RefineFromProto(proto.refine()));
  }
  return request;
}

absl::StatusOr<jobs::ScoreMatrixRequest> FromProto(const v1::ScoreMatrixRequest& proto,
                                                   const std::string& tenant) {
  jobs::ScoreMatrixRequest request;
  request.posterior = proto.posterior();
  BIF_ASSIGN_OR_RETURN(request.queries, SampleSetFromProto(proto.queries(), "queries", tenant));
  BIF_ASSIGN_OR_RETURN(request.candidates,
                       SampleSetFromProto(proto.candidates(), "candidates", tenant));
  BIF_RETURN_IF_ERROR(FillScoring(proto, request));
  request.standard_errors = proto.standard_errors();
  BIF_ASSIGN_OR_RETURN(request.priority, PriorityFromProto(proto.priority()));
  request.pathwise = PathwiseFromProto(proto.pathwise());
  request.resumption = ResumptionOf(proto);
  return request;
}

absl::StatusOr<jobs::SelfInfluenceRequest> FromProto(const v1::SelfInfluenceRequest& proto,
                                                     const std::string& tenant) {
  jobs::SelfInfluenceRequest request;
  request.posterior = proto.posterior();
  BIF_ASSIGN_OR_RETURN(request.candidates,
                       SampleSetFromProto(proto.candidates(), "candidates", tenant));
  BIF_ASSIGN_OR_RETURN(request.centring,
                       EnumFromProto(proto.centring(), v1::Centring_IsValid(proto.centring()),
                                     request.centring, "centring"));
  request.resumption = ResumptionOf(proto);
  return request;
}

absl::StatusOr<jobs::TokenInfluenceRequest> FromProto(const v1::TokenInfluenceRequest& proto,
                                                      const std::string& tenant) {
  jobs::TokenInfluenceRequest request;
  request.posterior = proto.posterior();
  BIF_ASSIGN_OR_RETURN(request.training, SampleSetFromProto(proto.training(), "training", tenant));
  BIF_ASSIGN_OR_RETURN(request.query, SampleSetFromProto(proto.query(), "query", tenant));
  BIF_ASSIGN_OR_RETURN(request.estimator,
                       EnumFromProto(proto.estimator(), v1::Estimator_IsValid(proto.estimator()),
                                     request.estimator, "estimator"));
  BIF_ASSIGN_OR_RETURN(request.centring,
                       EnumFromProto(proto.centring(), v1::Centring_IsValid(proto.centring()),
                                     request.centring, "centring"));
  request.standard_errors = proto.standard_errors();
  request.span_begin = proto.span_begin();
  request.span_end = proto.span_end();
  BIF_ASSIGN_OR_RETURN(request.priority, PriorityFromProto(proto.priority()));
  return request;
}

absl::StatusOr<jobs::GroupInfluenceRequest> FromProto(const v1::GroupInfluenceRequest& proto,
                                                      const std::string& tenant) {
  jobs::GroupInfluenceRequest request;
  request.posterior = proto.posterior();
  BIF_ASSIGN_OR_RETURN(request.group, SampleSetFromProto(proto.group(), "group", tenant));
  BIF_ASSIGN_OR_RETURN(request.queries, SampleSetFromProto(proto.queries(), "queries", tenant));
  BIF_ASSIGN_OR_RETURN(request.centring,
                       EnumFromProto(proto.centring(), v1::Centring_IsValid(proto.centring()),
                                     request.centring, "centring"));
  BIF_ASSIGN_OR_RETURN(request.observable, ObservableFromProto(proto.observable()));
  BIF_ASSIGN_OR_RETURN(request.priority, PriorityFromProto(proto.priority()));
  return request;
}

absl::StatusOr<jobs::ExportTracesRequest> FromProto(const v1::ExportTracesRequest& proto,
                                                    const std::string& tenant) {
  jobs::ExportTracesRequest request;
  request.posterior = proto.posterior();
  BIF_ASSIGN_OR_RETURN(request.samples, SampleSetFromProto(proto.samples(), "samples", tenant));
  BIF_ASSIGN_OR_RETURN(request.observable, ObservableFromProto(proto.observable()));
  BIF_ASSIGN_OR_RETURN(request.priority, PriorityFromProto(proto.priority()));
  request.resumption = ResumptionOf(proto);
  return request;
}

absl::StatusOr<jobs::TraceSamplesRequest> FromProto(const v1::TraceSamplesRequest& proto,
                                                    const std::string& tenant) {
  BIF_ASSIGN_OR_RETURN(const bool tokens, WantsTokens(proto.granularity(), "granularity"));
  BIF_ASSIGN_OR_RETURN(const int priority, PriorityFromProto(proto.priority()));
  return jobs::TraceSamplesRequest{.request = {.tenant = tenant, .id = proto.request_id()},
                                   .posterior = proto.posterior(),
                                   .dataset = proto.dataset(),
                                   .sample_ids = Strings(proto.sample_ids()),
                                   .tokens = tokens,
                                   .priority = priority};
}

void ToProto(const jobs::AttributeUpdate& update, v1::AttributeResponse* proto) {
  if (update.final) {
    v1::ServerTimes* times = proto->mutable_server_times();
    ToProto(update.queue_time, times->mutable_queue());
    ToProto(update.evaluation_time, times->mutable_evaluation());
    ToProto(update.scoring_time, times->mutable_scoring());
  }
  proto->set_draws_done(update.draws_done);
  proto->set_draws_total(update.draws_total);
  proto->set_slope_draws_done(update.slope_draws_done);
  proto->set_slope_draws_total(update.slope_draws_total);
  proto->set_budget_used(update.budget_used);
  for (const jobs::QueryRanking& ranking : update.rankings) {
    v1::QueryRanking* out = proto->add_rankings();
    out->set_query(ranking.query);
    out->set_sample_id(ranking.sample_id);
    for (const jobs::ScoredSample& score : ranking.helpful) ScoreToProto(score, out->add_helpful());
    for (const jobs::ScoredSample& score : ranking.harmful) ScoreToProto(score, out->add_harmful());
    out->set_helpful_stability(ranking.helpful_stability);
    out->set_harmful_stability(ranking.harmful_stability);
    if (!ranking.refined.has_value()) continue;
    out->mutable_refined()->set_refined(ranking.refined->refined);
    out->mutable_refined()->set_helpful_decided(ranking.refined->helpful_decided);
    out->mutable_refined()->set_harmful_decided(ranking.refined->harmful_decided);
    out->mutable_refined()->set_helpful_undecided(ranking.refined->helpful_undecided);
    out->mutable_refined()->set_harmful_undecided(ranking.refined->harmful_undecided);
  }
  proto->set_final(update.final);
  ProvenanceToProto(update.provenance, proto->mutable_provenance());
  proto->set_rows_evaluated(update.rows_evaluated);
}

void ToProto(const jobs::ScoreBlock& block, bool first, v1::ScoreMatrixResponse* proto) {
  proto->set_first_candidate(block.first_candidate);
  Assign(block.candidate_ids, proto->mutable_candidate_ids());
  proto->set_queries(block.queries);
  proto->set_resume_token(block.resume_token);
  Assign(block.scores, proto->mutable_scores());
  Assign(block.standard_errors, proto->mutable_standard_errors());
  if (first && block.provenance != nullptr)
    ProvenanceToProto(*block.provenance, proto->mutable_provenance());
}

void ToProto(const jobs::SelfInfluenceBlock& block, bool first, v1::SelfInfluenceResponse* proto) {
  Assign(block.sample_ids, proto->mutable_sample_ids());
  proto->set_resume_token(block.resume_token);
  Assign(block.variances, proto->mutable_variances());
  Assign(block.standard_errors, proto->mutable_standard_errors());
  Assign(block.mean_losses, proto->mutable_mean_losses());
  Assign(block.anchor_losses, proto->mutable_anchor_losses());
  if (first && block.provenance != nullptr)
    ProvenanceToProto(*block.provenance, proto->mutable_provenance());
}

void ToProto(const jobs::TokenInfluenceBlock& block, bool first,
             v1::TokenInfluenceResponse* proto) {
  proto->set_first_row(block.first_row);
  proto->set_columns(block.columns);
  Assign(block.scores, proto->mutable_scores());
  Assign(block.standard_errors, proto->mutable_standard_errors());
  Assign(block.completion_scores, proto->mutable_completion_scores());
  Assign(block.completion_standard_errors, proto->mutable_completion_standard_errors());
  if (!first || block.summary == nullptr) return;
  const jobs::TokenInfluenceSummary& summary = *block.summary;
  ProvenanceToProto(summary.provenance, proto->mutable_provenance());
  proto->set_rows(summary.rows);
  proto->set_first_column(summary.first_column);
  ScoreToProto(summary.sequence_score, proto->mutable_sequence_score());
  proto->set_sequences_evaluated(summary.sequences_evaluated);
}

void ToProto(const jobs::GroupInfluenceAnswer& answer, v1::GroupInfluenceResponse* proto) {
  for (const jobs::GroupScore& score : answer.scores) {
    v1::GroupScore* out = proto->add_scores();
    out->set_query(score.query);
    out->set_sample_id(score.sample_id);
    ScoreToProto(score.score, out->mutable_score());
    ScoreToProto(score.normalized, out->mutable_normalized_score());
    if (!score.removal.has_value()) continue;
    out->mutable_removal()->set_change(score.removal->change);
    out->mutable_removal()->set_standard_error(score.removal->standard_error);
    out->mutable_removal()->set_low(score.removal->low);
    out->mutable_removal()->set_high(score.removal->high);
  }
  proto->set_members(answer.members);
  proto->set_repeated_ids(answer.repeated_ids);
  ProvenanceToProto(answer.provenance, proto->mutable_provenance());
  proto->set_rows_evaluated(answer.rows_evaluated);
}

void ToProto(const jobs::TraceExportBlock& block, v1::ExportTracesResponse* proto) {
  Assign(block.sample_ids, proto->mutable_sample_ids());
  proto->set_resume_token(block.resume_token);
  proto->set_chains(block.chains);
  proto->set_draws_per_chain(block.draws_per_chain);
  Assign(block.values, proto->mutable_values());
  proto->mutable_chain_indices()->Assign(block.chain_indices.begin(), block.chain_indices.end());
}

}  // namespace bif::server
