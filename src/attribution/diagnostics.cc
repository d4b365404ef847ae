#include "src/attribution/diagnostics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/attribution/convergence.h"
#include "src/attribution/layout.h"
#include "src/attribution/row_kernel.h"

namespace bif::attribution {
namespace {

// Above this, halves and chains differ visibly. The paper asks for 1.01 before publishing a
// posterior mean; covariances of a few hundred draws carry far larger errors of their own, which
// their standard errors show, so drifting starts later.
constexpr double kDriftingRHat = 1.1;

// A loss that varies by less than this share of its size is about as constant as fp32 losses at
// quantised draws can be.
constexpr double kStuckRelativeSpread = 1e-4;
constexpr double kSmallestLossScale = 1e-3;

// Median over the traces of (standard deviation over draws) / (size of the loss).
double TypicalRelativeSpread(absl::Span<const float> traces, int64_t values) {
  std::vector<double> spreads;
  for (int64_t row = 0; (row + 1) * values <= static_cast<int64_t>(traces.size()); ++row) {
    const float* trace = traces.data() + row * values;
    const double mean = SumInDouble(trace, values) / static_cast<double>(values);
    double squares = 0;
    for (int64_t t = 0; t < values; ++t) squares += (trace[t] - mean) * (trace[t] - mean);
    spreads.push_back(std::sqrt(squares / static_cast<double>(values)) /
                      std::max(std::abs(mean), kSmallestLossScale));
  }
  return QuantilesOf(std::move(spreads)).median;
}

void Judge(const DiagnosticsInput& input, bool stuck, double spread, DiagnosticsResult& result) {
  const std::string diverged =
      input.diverged_chains == 0
          ? ""
          : absl::StrCat(" ", input.diverged_chains, " of ", input.chains + input.diverged_chains,
                         " chains diverged and are left out.");
  const double r_hat = std::max(result.r_hat, result.trace_r_hat.median);
  if (input.chains < input.diverged_chains || input.chains == 0) {
    result.verdict = Verdict::kDiverged;
    result.explanation =
        absl::StrCat("Most chains diverged: take a smaller step_size or a larger gamma.", diverged);
  } else if (stuck) {
    result.verdict = Verdict::kStuckAtAnchor;
    result.explanation = absl::StrFormat(
        "Losses vary by a share of only %.1e over the draws, too little for a covariance: take a "
        "larger step_size, a "
        "smaller gamma, or more steps_between_draws.%s",
        spread, diverged);
  } else if (!(r_hat <= kDriftingRHat)) {
    result.verdict = Verdict::kDrifting;
    result.explanation = absl::StrFormat(
        "Chains or their halves still differ (R-hat %.3f of the sampling loss, %.3f of the median "
        "trace; above %.1f "
        "counts as drifting): take more burn_in_steps or more draws.%s",
        result.r_hat, result.trace_r_hat.median, kDriftingRHat, diverged);
  } else {
    result.verdict = Verdict::kMixed;
    result.explanation = absl::StrFormat(
        "Chains and their halves agree (R-hat %.3f of the sampling loss, %.3f of the median "
        "trace), with about %.0f "
        "effective draws of the median trace.%s",
        result.r_hat, result.trace_r_hat.median, result.trace_ess.median, diverged);
  }
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMixed:
      return "MIXED";
    case Verdict::kDrifting:
      return "DRIFTING";
    case Verdict::kStuckAtAnchor:
      return "STUCK_AT_ANCHOR";
    case Verdict::kDiverged:
      return "DIVERGED";
  }
  return "UNKNOWN";
}

Quantiles QuantilesOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, values.size() - 1);
    const double part = position - static_cast<double>(below);
    return part == 0 ? values[below] : values[below] + part * (values[above] - values[below]);
  };
  return {at(0.05), at(0.5), at(0.95)};
}

MeanEstimate MeanOfDraws(int64_t chains, int64_t draws, absl::Span<const float> values) {
  const BlockPlan plan = MakePlan(
      MakeLayout(chains, draws, AutocorrelationTime(chains, draws, values)), Centring::kPooled);
  MeanEstimate estimate;
  if (plan.length == 0) return estimate;
  estimate.mean = SumInDouble(values.data(), plan.length) / static_cast<double>(plan.length);
  const auto blocks = static_cast<double>(plan.blocks.size());
  if (blocks < 2) return {estimate.mean, std::numeric_limits<double>::infinity()};
  double squares = 0;
  for (const Block& block : plan.blocks) {
    const double mean =
        SumInDouble(values.data() + block.begin, block.size) / static_cast<double>(block.size);
    squares += (mean - estimate.mean) * (mean - estimate.mean);
  }
  estimate.standard_error = std::sqrt(squares / (blocks * (blocks - 1)));
  return estimate;
}

DiagnosticsResult Diagnose(const DiagnosticsInput& input) {
  DiagnosticsResult result;
  const int64_t values = input.chains * input.draws;
  if (values == 0) {
    Judge(input, false, 0, result);
    if (input.diverged_chains == 0) {
      result.verdict = Verdict::kDrifting;
      result.explanation = "There are no draws yet.";
    }
    return result;
  }
  result.r_hat = RankNormalisedRHat(input.chains, input.draws, input.sampling_loss);
  result.ess_bulk = BulkEss(input.chains, input.draws, input.sampling_loss);
  result.autocorrelation_time = AutocorrelationTime(input.chains, input.draws, input.sampling_loss);

  std::vector<double> r_hats;
  std::vector<double> ess;
  for (int64_t row = 0; (row + 1) * values <= static_cast<int64_t>(input.traces.size()); ++row) {
    const absl::Span<const float> trace = input.traces.subspan(row * values, values);
    r_hats.push_back(RankNormalisedRHat(input.chains, input.draws, trace));
    ess.push_back(BulkEss(input.chains, input.draws, trace));
  }
  const bool has_traces = !r_hats.empty();
  result.trace_r_hat = has_traces ? QuantilesOf(std::move(r_hats)) : Quantiles{1, 1, 1};
  result.trace_ess = QuantilesOf(std::move(ess));

  if (!input.mean_trace_loss.empty()) {
    const MeanEstimate loss = MeanOfDraws(input.chains, input.draws, input.mean_trace_loss);
    result.mean_loss = loss.mean;
    result.llc = input.nbeta * (loss.mean - input.anchor_loss);
    result.llc_standard_error = input.nbeta * loss.standard_error;
  }
  const double spread = has_traces ? TypicalRelativeSpread(input.traces, values) : 0;
  Judge(input, has_traces && spread < kStuckRelativeSpread, spread, result);
  return result;
}

}  // namespace bif::attribution
