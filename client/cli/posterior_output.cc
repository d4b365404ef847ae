#include "client/cli/posterior_output.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/names.h"
#include "client/cli/output.h"

namespace bif::client {

std::string ChainsText(const v1::Posterior& posterior) {
  std::string text =
      absl::StrCat(posterior.chains_size(), " x ", posterior.draws_per_chain(), " draws");
  for (const v1::Chain& chain : posterior.chains()) {
    if (chain.state() == v1::CHAIN_DIVERGED) {
      absl::StrAppend(&text, "; chain ", chain.index(), " diverged: ", chain.reason());
    }
  }
  return text;
}

// Empty for the usual.
std::string ComputeText(const v1::Posterior& posterior) {
  if (!posterior.compute_reason().empty())
    return absl::StrCat("fp32: ", posterior.compute_reason());
  return posterior.compute() == v1::COMPUTE_BF16 ? "bf16, with weights in fp32" : "";
}

std::string ComponentText(const v1::Component& component) {
  const v1::ParameterFilter& filter = component.filter();
  std::vector<std::string> selected(filter.presets().begin(), filter.presets().end());
  selected.insert(selected.end(), filter.include().begin(), filter.include().end());
  std::string text = selected.empty() ? "all" : absl::StrJoin(selected, ", ");
  if (!filter.exclude().empty())
    absl::StrAppend(&text, " without ", absl::StrJoin(filter.exclude(), ", "));
  return text;
}

std::string TargetText(const v1::Stopping& stopping) {
  const v1::SamplingTarget& target = stopping.target();
  if (target.kind() == v1::TARGET_KIND_UNSPECIFIED) return "";
  std::string text = absl::StrCat(Kebab(v1::TargetKind_Name(target.kind())), " ");
  if (target.kind() == v1::TOP_K_STABILITY) absl::StrAppend(&text, "of ", target.k(), " ");
  absl::StrAppend(&text, Number(target.value()), ": ");
  if (stopping.draws_per_chain() == 0) return text + "not looked at yet";
  absl::StrAppend(&text, "now ", Number(stopping.figure()), " at ", stopping.draws_per_chain(),
                  " draws a chain");
  switch (stopping.reason()) {
    case v1::TARGET_MET:
      return text + ", met";
    case v1::DRAW_BUDGET_REACHED:
      return text + "; the budget of draws is used up";
    case v1::TIME_BUDGET_REACHED:
      return text + "; the budget of time is used up";
    default:
      break;
  }
  if (stopping.predicted_draws_per_chain() == 0) return text + ", out of reach as it looks";
  return absl::StrCat(text, ", about ", stopping.predicted_draws_per_chain(), " needed");
}

void PrintPosterior(Session& session, const v1::Posterior& posterior) {
  if (session.json) return PrintJson(session.out, posterior);
  if (session.quiet) {
    session.out << posterior.name() << "\n";
    return;
  }
  const v1::SamplerSettings& settings = posterior.settings();
  std::string state = Kebab(v1::PosteriorState_Name(posterior.state()));
  if (!posterior.state_reason().empty()) absl::StrAppend(&state, ": ", posterior.state_reason());
  Fields fields;
  fields.Add("name", posterior.name())
      .Add("display name", posterior.display_name())
      .Add("state", state)
      .Add("checkpoint", posterior.checkpoint())
      .Add("dataset", absl::StrCat(posterior.dataset(), ", ", Count(posterior.training_samples()),
                                   " training samples"))
      .Add("chains", ChainsText(posterior))
      .Add("target", TargetText(posterior.stopping()))
      .Add("", posterior.stopping().explanation())
      .Add("sampler", absl::StrCat(Kebab(v1::SamplerAlgorithm_Name(settings.algorithm())),
                                   ", step size ", Number(settings.step_size()), ", nbeta ",
                                   Number(settings.nbeta()), ", gamma ", Number(settings.gamma())))
      .Add("steps", absl::StrCat(settings.burn_in_steps(), " burn-in, ",
                                 posterior.steps_between_draws(), " between draws, batches of ",
                                 settings.batch_size(), ", seed ", settings.seed()))
      .Add("moving parameters", Count(posterior.moving_parameters()))
      .Add("on disk", Bytes(posterior.disk_bytes()))
      .Add("sampling time",
           posterior.has_sampling_time() ? DurationText(posterior.sampling_time()) : "")
      .Add("plan", posterior.execution_plan())
      .Add("computes in", ComputeText(posterior))
      .Add("keeps",
           posterior.granularity() == v1::TOKEN
               ? absl::StrCat("losses of tokens too, in ",
                              posterior.token_trace_type() == v1::TOKEN_FP16 ? "fp16" : "fp32")
               : std::string())
      .Add("numerics", posterior.numerics())
      .Add("operation", posterior.operation())
      .Add("created (UTC)", TimeText(posterior.create_time()))
      .Print(session.out);
}

void PrintDiagnostics(Session& session, const v1::Diagnostics& d) {
  if (session.json) return PrintJson(session.out, d);
  if (session.quiet) {
    session.out << d.verdict() << "\n";
    return;
  }
  const auto quantiles = [](const v1::Quantiles& q) {
    return absl::StrCat(Number(q.median()), " (5 % ", Number(q.p05()), ", 95 % ", Number(q.p95()),
                        ")");
  };
  Fields fields;
  fields.Add("posterior", d.posterior())
      .Add("verdict", d.verdict())
      .Add("", d.explanation())
      .Add("R-hat of the sampling loss", Number(d.r_hat()))
      .Add("ESS of the sampling loss", Number(d.ess_bulk()) + " draws")
      .Add("R-hat of traces", quantiles(d.trace_r_hat()))
      .Add("ESS of traces", quantiles(d.trace_ess()))
      .Add("autocorrelation time", Number(d.autocorrelation_time()) + " draws")
      .Add("loss at the checkpoint", Number(d.anchor_loss()))
      .Add("mean loss of the draws", Number(d.mean_loss()))
      .Add("local learning coefficient", ScoreText(d.llc(), d.llc_standard_error()))
      .Add("of", absl::StrCat(ComponentText(d.component()), ": ", Count(d.component().parameters()),
                              " of ", Count(d.component().all_parameters()), " parameters in ",
                              d.component().names_size(), " tensors"))
      .Print(session.out);
  session.out << "\n";
  Table table(
      {">CHAIN", "STATE", ">DRAWS", ">FIRST LOSS", ">LAST LOSS", ">LAST DISTANCE", "REASON"});
  for (const v1::ChainDiagnostics& chain : d.chains()) {
    const auto& loss = chain.sampling_loss();
    const auto& distance = chain.distance();
    table.Add({absl::StrCat(chain.chain()),
               chain.state() == v1::CHAIN_DIVERGED ? "diverged" : "active",
               absl::StrCat(loss.size()), loss.empty() ? "-" : Number(loss[0]),
               loss.empty() ? "-" : Number(loss[loss.size() - 1]),
               distance.empty() ? "-" : Number(distance[distance.size() - 1]), chain.reason()});
  }
  table.Print(session.out);
}

void PrintCostEstimate(Session& session, const google::longrunning::Operation& operation) {
  v1::PosteriorProgress progress;
  operation.metadata().UnpackTo(&progress);
  const v1::CostEstimate& estimate = progress.estimate();
  if (session.json) return PrintJson(session.out, estimate);
  Fields fields;
  fields.Add("posterior", progress.posterior())
      .Add("forward and backward", Count(estimate.gradient_samples()) + " samples")
      .Add("forward only", Count(estimate.forward_samples()) + " samples")
      .Add("device memory", Bytes(estimate.device_bytes()))
      .Add("disk", Bytes(estimate.disk_bytes()))
      .Add("time", estimate.has_duration() ? DurationText(estimate.duration())
                                           : "unknown: nothing was measured for this program yet")
      .Print(session.out);
}

}  // namespace bif::client
