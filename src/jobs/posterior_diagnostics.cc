#include "src/jobs/posterior_diagnostics.h"

#include "absl/strings/str_cat.h"
#include "src/attribution/diagnostics.h"
#include "src/base/status.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

// [subset, chains * draws]
absl::StatusOr<std::vector<float>> SubsetTraces(storage::Store& store,
                                                const storage::pb::PosteriorRecord& record,
                                                const std::vector<uint32_t>& chains,
                                                uint32_t draws) {
  BIF_ASSIGN_OR_RETURN(const auto dataset, store.catalog().Get<storage::pb::DatasetRecord>(
                                               storage::DatasetKey(record.dataset())));
  const storage::TraceArray losses{record.number(), kLossArray, dataset.number()};
  const std::vector<uint32_t> slots = RandomSlots(TrainingRowCount(record), kDiagnosedTraces);
  const auto stride = static_cast<int64_t>(chains.size()) * draws;
  std::vector<float> traces(slots.size() * stride);
  for (size_t s = 0; s < slots.size(); ++s) {
    const absl::Span<float> row = absl::MakeSpan(traces).subspan(s * stride, stride);
    for (size_t c = 0; c < chains.size(); ++c) {
      BIF_RETURN_IF_ERROR(store.traces().Read(losses, chains[c], slots[s], 1, draws, stride,
                                              static_cast<int64_t>(c) * draws, row));
    }
  }
  return traces;
}

PosteriorDiagnostics::Quantiles View(const attribution::Quantiles& q) {
  return {q.p05, q.median, q.p95};
}

}  // namespace

absl::StatusOr<PosteriorDiagnostics> DiagnosePosterior(storage::Store& store,
                                                       const storage::pb::PosteriorRecord& record) {
  PosteriorDiagnostics view;
  view.posterior = PosteriorName(record.key());
  view.anchor_loss = record.anchor_loss();
  const std::vector<uint32_t> active = ActiveChains(record);
  const uint32_t draws = record.draws_committed();
  if (draws < kFewestDiagnosedDraws && !active.empty()) {
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat(view.posterior, " has ", draws,
                                       " draws a chain; diagnostics need ", kFewestDiagnosedDraws)),
                      "TOO_FEW_DRAWS");
  }
  const std::vector<float> sampling_loss = SamplingLosses(record);
  std::vector<float> mean_trace_loss;
  for (const auto& chain : record.chains()) {
    view.chains.push_back({chain.index(),
                           {chain.sampling_loss().begin(), chain.sampling_loss().end()},
                           {chain.distance().begin(), chain.distance().end()},
                           chain.diverged(),
                           chain.reason()});
    if (chain.diverged()) continue;
    mean_trace_loss.insert(mean_trace_loss.end(), chain.mean_trace_loss().begin(),
                           chain.mean_trace_loss().end());
  }
  std::vector<float> traces;
  if (!active.empty()) {
    BIF_ASSIGN_OR_RETURN(traces, SubsetTraces(store, record, active, draws));
  }
  attribution::DiagnosticsInput input;
  input.chains = static_cast<int64_t>(active.size());
  input.draws = active.empty() ? 0 : draws;
  input.sampling_loss = sampling_loss;
  input.mean_trace_loss = mean_trace_loss;
  input.traces = traces;
  input.anchor_loss = record.anchor_loss();
  input.nbeta = record.settings().nbeta();
  input.diverged_chains = record.chains_size() - input.chains;
  const attribution::DiagnosticsResult result = attribution::Diagnose(input);

  view.r_hat = result.r_hat;
  view.ess_bulk = result.ess_bulk;
  view.trace_r_hat = View(result.trace_r_hat);
  view.trace_ess = View(result.trace_ess);
  view.autocorrelation_time = result.autocorrelation_time;
  view.mean_loss = result.mean_loss;
  view.llc = result.llc;
  view.llc_standard_error = result.llc_standard_error;
  view.verdict = std::string(attribution::VerdictName(result.verdict));
  view.explanation = result.explanation;
  return view;
}

absl::StatusOr<PosteriorDiagnostics::Component> ComponentOf(const engine::ProgramInfo& program,
                                                            const engine::ParameterFilter& filter) {
  BIF_ASSIGN_OR_RETURN(const engine::MovingSet moving,
                       engine::SelectParameters(program.parameters, filter));
  PosteriorDiagnostics::Component component;
  component.filter = filter;
  component.parameters = moving.elements;
  for (const engine::MovingRange& range : moving.ranges)
    component.names.push_back(program.parameters[range.parameter].name);
  for (const engine::ParameterInfo& parameter : program.parameters)
    component.all_parameters += parameter.elements;
  return component;
}

}  // namespace bif::jobs
