#include "server/convert_posteriors.h"

#include "server/call_runtime.h"
#include "server/convert_common.h"
#include "server/convert_settings.h"

namespace bif::server {
namespace {

v1::ChainState StateOf(bool diverged) { return diverged ? v1::CHAIN_DIVERGED : v1::CHAIN_ACTIVE; }

void QuantilesToProto(const jobs::PosteriorDiagnostics::Quantiles& quantiles,
                      v1::Quantiles* proto) {
  proto->set_p05(quantiles.p05);
  proto->set_median(quantiles.median);
  proto->set_p95(quantiles.p95);
}

}  // namespace

absl::StatusOr<jobs::PosteriorSpec> FromProto(const v1::CreatePosteriorRequest& proto,
                                              const std::string& tenant) {
  jobs::PosteriorSpec spec;
  spec.request = {.tenant = tenant, .id = proto.request_id()};
  spec.display_name = proto.display_name();
  spec.checkpoint = proto.checkpoint();
  spec.dataset = proto.dataset();
  BIF_ASSIGN_OR_RETURN(spec.settings, FromProto(proto.settings(), "settings"));
  BIF_ASSIGN_OR_RETURN(spec.token_traces, WantsTokens(proto.granularity(), "granularity"));
  BIF_ASSIGN_OR_RETURN(
      spec.token_trace_type,
      EnumFromProto(proto.token_trace_type(), v1::TokenTraceType_IsValid(proto.token_trace_type()),
                    spec.token_trace_type, "token_trace_type"));
  BIF_ASSIGN_OR_RETURN(spec.priority, PriorityFromProto(proto.priority()));
  if (!proto.has_target()) return spec;
  if (proto.settings().draws_per_chain() != 0) {
    return FieldError("settings.draws_per_chain",
                      "is for runs without a target; the budget is target.max_draws_per_chain");
  }
  BIF_ASSIGN_OR_RETURN(spec.target, FromProto(proto.target()));
  return spec;
}

absl::StatusOr<jobs::TargetSpec> FromProto(const v1::SamplingTarget& proto) {
  jobs::TargetSpec spec;
  BIF_ASSIGN_OR_RETURN(spec.target.kind,
                       EnumFromProto(proto.kind(), v1::TargetKind_IsValid(proto.kind()),
                                     attribution::TargetKind{}, "target.kind"));
  spec.target.value = proto.value();
  if (proto.k() != 0 && proto.kind() != v1::TOP_K_STABILITY)
    return FieldError("target.k", "belongs to TOP_K_STABILITY only");
  spec.target.k = proto.k() == 0 ? jobs::kDefaultTopK : proto.k();
  spec.pilot_dataset = proto.pilot_dataset();
  spec.pilot_sample_ids = Strings(proto.pilot_sample_ids());
  spec.max_draws_per_chain = proto.max_draws_per_chain();
  if (!proto.has_max_time()) return spec;
  spec.max_time = FromProto(proto.max_time());
  if (spec.max_time <= absl::ZeroDuration())
    return FieldError("target.max_time", "must be above 0; leave it out for no limit");
  return spec;
}

void ToProto(const jobs::Stopping& stopping, v1::Stopping* proto) {
  v1::SamplingTarget& target = *proto->mutable_target();
  target.set_kind(static_cast<v1::TargetKind>(stopping.target.target.kind));
  target.set_value(stopping.target.target.value);
  if (target.kind() == v1::TOP_K_STABILITY)
    target.set_k(static_cast<uint32_t>(stopping.target.target.k));
  target.set_pilot_dataset(stopping.target.pilot_dataset);
  target.mutable_pilot_sample_ids()->Assign(stopping.target.pilot_sample_ids.begin(),
                                            stopping.target.pilot_sample_ids.end());
  target.set_max_draws_per_chain(stopping.target.max_draws_per_chain);
  if (stopping.target.max_time > absl::ZeroDuration())
    ToProto(stopping.target.max_time, target.mutable_max_time());
  proto->set_reason(static_cast<v1::StopReason>(stopping.reason));
  proto->set_figure(stopping.figure);
  proto->set_draws_per_chain(stopping.draws_per_chain);
  proto->set_predicted_draws_per_chain(static_cast<uint64_t>(stopping.predicted_draws));
  proto->set_explanation(stopping.explanation);
}

void ToProto(const jobs::CostEstimate& estimate, v1::CostEstimate* proto) {
  proto->set_gradient_samples(estimate.gradient_samples);
  proto->set_forward_samples(estimate.forward_samples);
  proto->set_device_bytes(estimate.device_bytes);
  proto->set_disk_bytes(estimate.disk_bytes);
  if (estimate.duration.has_value()) ToProto(*estimate.duration, proto->mutable_duration());
}

void ToProto(const jobs::Posterior& posterior, v1::Posterior* proto) {
  proto->set_name(posterior.name);
  proto->set_key(posterior.key);
  proto->set_display_name(posterior.display_name);
  proto->set_checkpoint(posterior.checkpoint);
  proto->set_dataset(posterior.dataset);
  ToProto(posterior.settings, proto->mutable_settings());
  proto->set_state(static_cast<v1::PosteriorState>(posterior.state));
  proto->set_state_reason(posterior.state_reason);
  for (const jobs::Posterior::Chain& chain : posterior.chains) {
    v1::Chain* out = proto->add_chains();
    out->set_index(chain.index);
    out->set_state(StateOf(chain.diverged));
    out->set_reason(chain.reason);
    out->set_draws(chain.draws);
  }
  proto->set_draws_per_chain(posterior.draws_per_chain);
  proto->set_steps_between_draws(posterior.steps_between_draws);
  proto->set_training_samples(posterior.training_samples);
  proto->set_moving_parameters(posterior.moving_parameters);
  proto->set_disk_bytes(posterior.disk_bytes);
  proto->set_numerics(posterior.numerics);
  ToProto(posterior.create_time, proto->mutable_create_time());
  ToProto(posterior.sampling_time, proto->mutable_sampling_time());
  proto->set_operation(posterior.operation);
  proto->set_execution_plan(posterior.execution_plan);
  proto->set_compute(static_cast<v1::ComputeType>(posterior.compute));
  proto->set_compute_reason(posterior.compute_reason);
  proto->set_granularity(posterior.token_traces ? v1::TOKEN : v1::SEQUENCE);
  proto->set_token_trace_type(static_cast<v1::TokenTraceType>(posterior.token_trace_type));
  if (posterior.stopping.has_value()) ToProto(*posterior.stopping, proto->mutable_stopping());
}

void ToProto(const jobs::PosteriorDiagnostics& diagnostics, v1::Diagnostics* proto) {
  proto->set_posterior(diagnostics.posterior);
  for (const jobs::PosteriorDiagnostics::Chain& chain : diagnostics.chains) {
    v1::ChainDiagnostics* out = proto->add_chains();
    out->set_chain(chain.index);
    out->mutable_sampling_loss()->Assign(chain.sampling_loss.begin(), chain.sampling_loss.end());
    out->mutable_distance()->Assign(chain.distance.begin(), chain.distance.end());
    out->set_state(StateOf(chain.diverged));
    out->set_reason(chain.reason);
  }
  proto->set_r_hat(diagnostics.r_hat);
  proto->set_ess_bulk(diagnostics.ess_bulk);
  QuantilesToProto(diagnostics.trace_r_hat, proto->mutable_trace_r_hat());
  QuantilesToProto(diagnostics.trace_ess, proto->mutable_trace_ess());
  proto->set_autocorrelation_time(diagnostics.autocorrelation_time);
  proto->set_anchor_loss(diagnostics.anchor_loss);
  proto->set_mean_loss(diagnostics.mean_loss);
  proto->set_llc(diagnostics.llc);
  proto->set_llc_standard_error(diagnostics.llc_standard_error);
  proto->set_verdict(diagnostics.verdict);
  proto->set_explanation(diagnostics.explanation);
  const jobs::PosteriorDiagnostics::Component& component = diagnostics.component;
  ToProto(component.filter, proto->mutable_component()->mutable_filter());
  proto->mutable_component()->mutable_names()->Assign(component.names.begin(),
                                                      component.names.end());
  proto->mutable_component()->set_parameters(component.parameters);
  proto->mutable_component()->set_all_parameters(component.all_parameters);
  proto->set_checkpoint(diagnostics.checkpoint);
}

void ToProto(const jobs::Page<jobs::Posterior>& page, v1::ListPosteriorsResponse* proto) {
  for (const jobs::Posterior& posterior : page.items) {
    v1::Posterior* out = proto->add_posteriors();
    ToProto(posterior, out);
    out->mutable_settings()->clear_replay_batches();
  }
  proto->set_next_page_token(page.next_page_token);
}

}  // namespace bif::server
