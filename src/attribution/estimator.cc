#include "src/attribution/estimator.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "src/attribution/row_kernel.h"
#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

constexpr int64_t kLongestFp32Sum =
    1024;  // draws; keeps rounding far below 1e-5 where no block cuts a chain

bool IsCorrelation(Estimator estimator) {
  return estimator == Estimator::kNormalizedBif || estimator == Estimator::kCorrelation;
}
bool IsNegated(Estimator estimator) {
  return estimator == Estimator::kBif || estimator == Estimator::kNormalizedBif;
}

// Without standard errors blocks are only there to bound the length of fp32 sums.
TraceLayout LongBlocks(TraceLayout layout) {
  layout.block_draws = std::clamp<int64_t>(layout.draws, 1, kLongestFp32Sum);
  return layout;
}

}  // namespace

std::string_view EstimatorName(Estimator estimator) {
  switch (estimator) {
    case Estimator::kBif:
      return "BIF";
    case Estimator::kNormalizedBif:
      return "NORMALIZED_BIF";
    case Estimator::kCovariance:
      return "COVARIANCE";
    case Estimator::kCorrelation:
      return "CORRELATION";
  }
  return "UNKNOWN";
}

Scorer::Scorer(const TraceLayout& layout, Estimator estimator, Centring centring,
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

absl::StatusOr<Scorer> Scorer::Create(const TraceLayout& layout, Estimator estimator,
                                      Centring centring, absl::Span<const float> queries,
                                      bool standard_errors) {
  const int64_t in_a_mean = centring == Centring::kPooled ? layout.values() : layout.draws;
  if (layout.chains < 1 || in_a_mean < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a covariance needs at least 2 draws; there are ", layout.chains, " chains of ",
        layout.draws, " draws. Sample more draws, or wait until they are there"));
  }
  if (queries.size() % static_cast<size_t>(layout.values()) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("query traces have ", queries.size(),
                                                   " numbers, which is no multiple of ",
                                                   layout.values(), " draws"));
  }
  Scorer scorer(layout, estimator, centring, standard_errors);
  scorer.query_count_ = static_cast<int64_t>(queries.size()) / layout.values();
  for (int64_t j = 0; j < scorer.query_count_; ++j) {
    scorer.query_series_.push_back(scorer.NewSeries());
    scorer.Load(queries.data() + j * layout.values(), scorer.query_series_.back());
  }
  return scorer;
}

Scorer::Series Scorer::NewSeries() const {
  Series series;
  if (centring_ == Centring::kChainMean) series.averages.resize(layout_.draws);
  series.means.resize(plan_.groups);
  series.packed.resize(plan_.packed_length);
  series.sums.resize(plan_.blocks.size());
  series.squares.resize(plan_.blocks.size());
  series.variances.resize(plan_.blocks.size() + 1);
  return series;
}

void Scorer::Load(const float* trace, Series& series) const {
  if (centring_ == Centring::kChainMean) {
    AverageChains(trace, layout_.chains, layout_.draws, series.averages.data());
    trace = series.averages.data();
  }
  for (int64_t g = 0; g < plan_.groups; ++g) {
    series.means[g] =
        static_cast<float>(SumInDouble(trace + g * plan_.group_size, plan_.group_size) /
                           static_cast<double>(plan_.group_size));
  }
  CentreAndPack(plan_, trace, series.means.data(), series.packed.data(), series.sums.data(),
                series.squares.data());
  // The mean of equal floats is that float, exactly, so a trace without variance has squares of
  // exactly 0.
  double squares = 0;
  for (float s : series.squares) squares += static_cast<double>(s);
  series.constant = squares == 0 || !std::isfinite(squares);
  if (IsCorrelation(estimator_)) {
    jackknife_.Covariances(series.squares, series.sums, series.sums,
                           absl::MakeSpan(series.variances));
  }
}

ScoreValue Scorer::ScoreOne(const Series& row, const Series& query, absl::Span<float> products,
                            absl::Span<double> cov) const {
  if (row.constant || query.constant) return {0, 0, true};
  BlockProducts(plan_, row.packed.data(), query.packed.data(), products.data());
  jackknife_.Covariances(products, row.sums, query.sums, cov);
  if (IsCorrelation(estimator_)) {
    for (size_t i = 0; i < cov.size(); ++i) {
      const double variances = row.variances[i] * query.variances[i];
      cov[i] = variances > 0 ? std::clamp(cov[i] / std::sqrt(variances), -1.0, 1.0) : 0;
    }
  }
  Estimate estimate{cov[0], 0};
  if (standard_errors_) estimate = jackknife_.Summarise(cov);
  if (!std::isfinite(estimate.value)) return {0, 0, true};
  return {static_cast<float>(IsNegated(estimator_) ? -estimate.value : estimate.value),
          static_cast<float>(estimate.standard_error), false};
}

void Scorer::Score(absl::Span<const float> rows, absl::Span<ScoreValue> scores) const {
  // A row is read once, for all queries; centred, it stays in the first-level cache.
  Series row = NewSeries();
  std::vector<float> products(plan_.blocks.size());
  std::vector<double> cov(plan_.blocks.size() + 1);
  const int64_t row_count = static_cast<int64_t>(rows.size()) / layout_.values();
  for (int64_t i = 0; i < row_count; ++i) {
    Load(rows.data() + i * layout_.values(), row);
    for (int64_t j = 0; j < query_count_; ++j) {
      scores[i * query_count_ + j] =
          ScoreOne(row, query_series_[j], absl::MakeSpan(products), absl::MakeSpan(cov));
    }
  }
}

void SelfVariance(const TraceLayout& layout, Centring centring, absl::Span<const float> rows,
                  absl::Span<ScoreValue> scores) {
  absl::StatusOr<Scorer> scorer = Scorer::Create(layout, Estimator::kCovariance, centring, {});
  if (!scorer.ok()) {
    std::fill(scores.begin(), scores.end(), ScoreValue{0, 0, true});
    return;
  }
  Scorer::Series row = scorer->NewSeries();
  std::vector<double> variances(scorer->plan_.blocks.size() + 1);
  for (size_t i = 0; i < scores.size(); ++i) {
    scorer->Load(rows.data() + static_cast<int64_t>(i) * layout.values(), row);
    if (row.constant) {
      scores[i] = {0, 0, true};
      continue;
    }
    scorer->jackknife_.Covariances(row.squares, row.sums, row.sums, absl::MakeSpan(variances));
    const Estimate estimate = scorer->jackknife_.Summarise(variances);
    scores[i] = {static_cast<float>(std::max(0.0, estimate.value)),
                 static_cast<float>(estimate.standard_error), false};
  }
}

bool Distinguishable(const ScoreValue& value, double t_quantile) {
  return !value.constant && std::isfinite(value.standard_error) && t_quantile > 0 &&
         std::abs(static_cast<double>(value.score)) >
             t_quantile * static_cast<double>(value.standard_error);
}

int HelpfulSign(Estimator estimator, bool observable_is_loss) {
  const int raises_observable =
      IsNegated(estimator) ? 1 : -1;  // BIF > 0 and covariance < 0 raise phi
  return observable_is_loss ? -raises_observable : raises_observable;
}

bool Helps(const ScoreValue& value, int helpful_sign) {
  return value.score * static_cast<float>(helpful_sign) > 0;
}

std::string_view SignWord(const ScoreValue& value, int helpful_sign) {
  if (value.score == 0) return "neutral";
  return Helps(value, helpful_sign) ? "helps" : "hurts";
}

}  // namespace bif::attribution
