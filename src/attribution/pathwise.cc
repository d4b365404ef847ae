#include "src/attribution/pathwise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/attribution/convergence.h"
#include "src/attribution/diagnostics.h"
#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

constexpr int64_t kEnoughStretches = 12;
constexpr double kTargetBlocks = 20;  // as for covariances (layout.cc)
constexpr int64_t kFewestBlocks = 4;
constexpr double kTimesInABlock = 2;
constexpr double kLargestRho = 1 - 1e-6;

// Pieces of a stretch when pieces are to be `length` draws long or a bit more.
int64_t Pieces(int64_t draws, double length) {
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(draws) / length));
}

// Variance of the mean of m values of an AR(1) series, over what it tends to with large m.
double ShareOfLongRunVariance(double rho, double m) {
  if (rho <= 0) return 1;
  return 1 + 2 * rho * std::expm1(m * std::log(rho)) / (m * (1 - rho * rho));
}

double VarianceFactor(double time, double blocks, double stretches, double values) {
  if (blocks <= stretches) return 1;
  const double rho = std::min((time - 1) / (time + 1), kLargestRho);
  const double ratio = ShareOfLongRunVariance(rho, values / blocks) /
                       ShareOfLongRunVariance(rho, values / stretches);
  const double seen = (blocks * ratio - 1) / (blocks - 1);
  return seen > 0 ? 1 / seen : std::numeric_limits<double>::infinity();
}

}  // namespace

int64_t StretchLayout::values() const {
  int64_t sum = 0;
  for (const int64_t n : draws) sum += n;
  return sum;
}

absl::StatusOr<SlopeBlocks> MakeSlopeBlocks(const StretchLayout& layout,
                                            double autocorrelation_time) {
  if (layout.draws.empty() || *std::min_element(layout.draws.begin(), layout.draws.end()) < 1) {
    return absl::InvalidArgumentError(
        "slopes need at least one stretch of a chain, and each at least one draw");
  }
  const int64_t values = layout.values();
  const auto stretches = static_cast<int64_t>(layout.draws.size());
  const double time = std::isfinite(autocorrelation_time) ? std::max(1.0, autocorrelation_time)
                                                          : static_cast<double>(values);

  const auto blocks_of = [&](double length) {
    int64_t sum = 0;
    for (const int64_t draws : layout.draws) sum += Pieces(draws, length);
    return sum;
  };
  double length = static_cast<double>(values);  // stretches are blocks
  if (stretches < kEnoughStretches) {
    length = std::max(kTimesInABlock * time, static_cast<double>(values) / kTargetBlocks);
    while (length > 1 && blocks_of(length) < kFewestBlocks) length = std::max(1.0, 0.9 * length);
  }

  SlopeBlocks blocks;
  BlockPlan& plan = blocks.plan;
  plan.length = values;
  plan.groups = 1;
  plan.group_size = values;
  int64_t first = 0;
  for (const int64_t draws : layout.draws) {
    const int64_t pieces = Pieces(draws, length);
    for (int64_t k = 0; k < pieces; ++k) {
      const int64_t begin = first + k * draws / pieces;
      const int64_t end = first + (k + 1) * draws / pieces;
      plan.blocks.push_back({begin, end - begin, plan.packed_length, 0});
      plan.packed_length += (end - begin + kLanes - 1) / kLanes * kLanes;
    }
    first += draws;
  }
  blocks.whole_stretches = blocks.blocks() == stretches;
  blocks.variance_factor =
      VarianceFactor(time, static_cast<double>(blocks.blocks()), static_cast<double>(stretches),
                     static_cast<double>(values));
  return blocks;
}

double SlopeAutocorrelationTime(const StretchLayout& layout, absl::Span<const float> slopes) {
  constexpr int64_t kFewestDraws = 4;
  if (layout.draws.empty()) return 1;
  const int64_t values = layout.values();
  const int64_t shortest = *std::min_element(layout.draws.begin(), layout.draws.end());
  if (shortest < kFewestDraws) return 1;
  std::vector<double> times;
  std::vector<float> cut;
  for (int64_t row = 0; (row + 1) * values <= static_cast<int64_t>(slopes.size()); ++row) {
    cut.clear();
    const float* from = slopes.data() + row * values;
    for (const int64_t draws : layout.draws) {
      cut.insert(cut.end(), from, from + shortest);
      from += draws;
    }
    times.push_back(AutocorrelationTime(static_cast<int64_t>(layout.draws.size()), shortest, cut));
  }
  return std::max(1.0, QuantilesOf(std::move(times)).median);
}

absl::StatusOr<PathwiseScorer> PathwiseScorer::Create(SlopeBlocks blocks, Estimator estimator) {
  if (IsCorrelation(estimator)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the pathwise estimator has no ", std::string(EstimatorName(estimator)),
                     ": slopes say nothing of variances; ask for BIF or COVARIANCE"));
  }
  if (blocks.plan.blocks.empty()) {
    return absl::InvalidArgumentError("slopes need at least one stretch of a chain");
  }
  return PathwiseScorer(std::move(blocks), estimator);
}

PathwiseScorer::PathwiseScorer(SlopeBlocks blocks, Estimator estimator)
    : blocks_(std::move(blocks)),
      jackknife_(blocks_.plan),
      sign_(IsNegated(estimator) ? 1 : -1),  // the mean slope is the BIF itself
      t_quantile_(blocks_.blocks() > 1 ? StudentTQuantile(0.975, blocks_.degrees()) : 0) {}

void PathwiseScorer::Score(absl::Span<const float> slopes, absl::Span<ScoreValue> scores) const {
  const BlockPlan& plan = blocks_.plan;
  LeaveOneOut means = jackknife_.NewLeaveOneOut();
  std::vector<double> sums(plan.blocks.size());
  const double inflation = std::sqrt(blocks_.variance_factor);
  const auto total_draws = static_cast<double>(plan.length);
  const float* row = slopes.data();
  for (ScoreValue& score : scores) {
    double total = 0;
    bool zero = true;
    for (size_t b = 0; b < plan.blocks.size(); ++b) {
      const Block& block = plan.blocks[b];
      sums[b] = 0;
      for (int64_t t = block.begin; t < block.begin + block.size; ++t) {
        sums[b] += static_cast<double>(row[t]);
        zero = zero && row[t] == 0;
      }
      total += sums[b];
    }
    row += plan.length;
    if (zero || !std::isfinite(total)) {
      score = {0, 0, true};
      continue;
    }
    means.whole = sign_ * total / total_draws;
    for (size_t b = 0; b < plan.blocks.size(); ++b) {
      const double rest = total_draws - static_cast<double>(plan.blocks[b].size);
      means.without[b] = rest > 0 ? sign_ * (total - sums[b]) / rest : 0;
    }
    const Estimate estimate = jackknife_.Summarise(means);
    score = {static_cast<float>(estimate.value),
             static_cast<float>(inflation * estimate.standard_error), false};
  }
}

absl::StatusOr<TangentRelaxation> RelaxationOf(double step_size, double gamma, double weight_decay,
                                               double preconditioner, double bias) {
  const double rate = 0.5 * step_size * preconditioner * (gamma + weight_decay);
  if (!(rate > 0 && rate < 2)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "step_size * (gamma + weight_decay) / 2 is %g a step; tangents settle only if it lies "
        "between 0 and 2. Sample a posterior with a gamma above 0 and a step size that suits it",
        rate));
  }
  if (!(bias > 0 && bias < 1)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the bias that burn-in may leave is %g; it must lie between 0 and 1", bias));
  }
  // Above 1 the slowest directions change sign at every step, and shrink by |1 - rate|.
  const double forgets = -std::log(std::max(std::abs(1 - rate), 1e-300));
  return TangentRelaxation{
      1 / forgets,
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(-std::log(bias) / forgets)))};
}

}  // namespace bif::attribution
