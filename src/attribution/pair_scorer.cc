#include "src/attribution/pair_scorer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "src/attribution/row_kernel.h"
#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

constexpr int64_t kLongestFp32Sum =
    1024;  // draws; keeps rounding far below 1e-5 where no block cuts a chain

TraceLayout LongBlocks(TraceLayout layout) {
  layout.block_draws = std::clamp<int64_t>(layout.draws, 1, kLongestFp32Sum);
  return layout;
}

}  // namespace

PairScorer::PairScorer(const TraceLayout& layout, Estimator estimator, Centring centring,
                       bool standard_errors)
    : layout_(layout),
      estimator_(estimator),
      centring_(centring),
      standard_errors_(standard_errors),
      plan_(MakePlan(standard_errors ? layout : LongBlocks(layout), centring)),
      jackknife_(plan_),
      t_quantile_(standard_errors && blocks() > 1
                      ? StudentTQuantile(0.975, static_cast<double>(blocks() - 1))
                      : 0) {}

absl::StatusOr<PairScorer> PairScorer::Create(const TraceLayout& layout, Estimator estimator,
                                              Centring centring, bool standard_errors) {
  const int64_t in_a_mean = centring == Centring::kPooled ? layout.values() : layout.draws;
  if (layout.chains < 1 || in_a_mean < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a covariance needs at least 2 draws; there are ", layout.chains, " chains of ",
        layout.draws, " draws. Sample more draws, or wait until they are there"));
  }
  return PairScorer(layout, estimator, centring, standard_errors);
}

CentredTrace PairScorer::NewTrace() const {
  CentredTrace trace;
  if (centring_ == Centring::kChainMean) trace.averages.resize(layout_.draws);
  trace.means.resize(plan_.groups);
  trace.packed.resize(plan_.packed_length);
  trace.sums.resize(plan_.padded_blocks());
  trace.squares.resize(plan_.padded_blocks());
  trace.group_sums = jackknife_.NewGroupSums();
  trace.inverse_deviations = jackknife_.NewLeaveOneOut();
  return trace;
}

PairScorer::Scratch PairScorer::NewScratch() const {
  return {std::vector<float>(plan_.padded_blocks()), jackknife_.NewLeaveOneOut()};
}

void PairScorer::Load(const float* trace, CentredTrace& centred) const {
  if (centring_ == Centring::kChainMean) {
    AverageChains(trace, layout_.chains, layout_.draws, centred.averages.data());
    trace = centred.averages.data();
  }
  for (int64_t g = 0; g < plan_.groups; ++g) {
    centred.means[g] =
        static_cast<float>(SumInDouble(trace + g * plan_.group_size, plan_.group_size) /
                           static_cast<double>(plan_.group_size));
  }
  CentreAndPack(plan_, trace, centred.means.data(), centred.packed.data(), centred.sums.data(),
                centred.squares.data());
  FinishSums(centred);
}

void PairScorer::LoadSum(absl::Span<const CentredTrace> traces, CentredTrace& sum) const {
  std::vector<double> packed(sum.packed.size());
  std::vector<double> sums(sum.sums.size());
  for (const CentredTrace& trace : traces) {
    if (trace.constant) continue;
    for (size_t i = 0; i < packed.size(); ++i) packed[i] += static_cast<double>(trace.packed[i]);
    for (size_t b = 0; b < sums.size(); ++b) sums[b] += static_cast<double>(trace.sums[b]);
  }
  std::transform(packed.begin(), packed.end(), sum.packed.begin(),
                 [](double v) { return static_cast<float>(v); });
  std::transform(sums.begin(), sums.end(), sum.sums.begin(),
                 [](double v) { return static_cast<float>(v); });
  BlockProducts(plan_, sum.packed.data(), sum.packed.data(), sum.squares.data());
  FinishSums(sum);
}

void PairScorer::FinishSums(CentredTrace& centred) const {
  // The mean of equal floats is that float, exactly, so a trace without variance has squares of
  // exactly 0.
  const double squares = SumInDouble(centred.squares.data(), plan_.padded_blocks());
  centred.constant = squares == 0 || !std::isfinite(squares);
  jackknife_.SumGroups(centred.sums.data(), centred.group_sums);
  if (IsCorrelation(estimator_)) {
    jackknife_.Covariances(centred.squares.data(), centred.group_sums, centred.group_sums,
                           centred.inverse_deviations);
    jackknife_.InvertRoots(centred.inverse_deviations);
  }
}

ScoreValue PairScorer::Score(const CentredTrace& x, const CentredTrace& y, Scratch& scratch) const {
  if (x.constant || y.constant) return {0, 0, true};
  BlockProducts(plan_, x.packed.data(), y.packed.data(), scratch.products.data());
  return ScoreProducts(x, y, scratch.products, scratch);
}

ScoreValue PairScorer::ScoreProducts(const CentredTrace& x, const CentredTrace& y,
                                     absl::Span<const float> products, Scratch& scratch) const {
  if (x.constant || y.constant) return {0, 0, true};
  LeaveOneOut& estimates = scratch.estimates;
  if (standard_errors_) {
    jackknife_.Covariances(products.data(), x.group_sums, y.group_sums, estimates);
    if (IsCorrelation(estimator_))
      jackknife_.Normalise(x.inverse_deviations, y.inverse_deviations, estimates);
  } else {
    estimates.whole = jackknife_.Covariance(products.data(), x.group_sums, y.group_sums);
    if (IsCorrelation(estimator_)) {
      estimates.whole =
          Jackknife::Normalised(x.inverse_deviations, y.inverse_deviations, estimates.whole);
    }
  }
  if (!std::isfinite(estimates.whole)) return {0, 0, true};
  const double value = IsNegated(estimator_) ? -estimates.whole : estimates.whole;
  const double error = standard_errors_ ? jackknife_.Summarise(estimates).standard_error : 0;
  return {static_cast<float>(value), static_cast<float>(error), false};
}

ScreenQuery PairScorer::ScreenOf(const float* trace, const CentredTrace& query) const {
  std::vector<float> centred(layout_.values());
  if (query.constant) return {centred, 0, 0};
  // Averages over chains are spread over them.
  const bool averaged = centring_ == Centring::kChainMean;
  const float* const series = averaged ? query.averages.data() : trace;
  const int64_t copies = averaged ? layout_.chains : 1;
  for (const Block& block : plan_.blocks) {
    for (int64_t t = block.begin; t < block.begin + block.size; ++t) {
      const float number = (series[t] - query.means[block.group]) / static_cast<float>(copies);
      for (int64_t copy = 0; copy < copies; ++copy) centred[copy * layout_.draws + t] = number;
    }
  }
  const double scale = (IsNegated(estimator_) ? -1.0 : 1.0) / static_cast<double>(plan_.divisor()) *
                       (IsCorrelation(estimator_) ? query.inverse_deviations.whole : 1.0);
  return {centred, std::sqrt(jackknife_.MeanPart(query.group_sums)), scale};
}

ScreenTerms PairScorer::ScreenTermsOf(float norm, const CentredTrace& row) const {
  if (!IsCorrelation(estimator_)) return {1, norm};
  if (row.constant) return {};
  const auto inverse = static_cast<float>(row.inverse_deviations.whole);
  return {inverse, norm * inverse};
}

ScoreValue PairScorer::Variance(const CentredTrace& x, Scratch& scratch) const {
  if (x.constant) return {0, 0, true};
  jackknife_.Covariances(x.squares.data(), x.group_sums, x.group_sums, scratch.estimates);
  const Estimate estimate = jackknife_.Summarise(scratch.estimates);
  return {static_cast<float>(std::max(0.0, estimate.value)),
          static_cast<float>(estimate.standard_error), false};
}

}  // namespace bif::attribution
