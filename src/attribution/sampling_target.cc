#include "src/attribution/sampling_target.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/attribution/diagnostics.h"
#include "src/attribution/estimator.h"
#include "src/attribution/ranking.h"
#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

constexpr double kLargestFactor = 1e9;  // of the draws that there are

absl::Status Check(const SamplingTarget& target) {
  const bool is_share =
      target.kind == TargetKind::kStability || target.kind == TargetKind::kDistinguishable;
  const bool is_error = target.kind == TargetKind::kMedianStandardError ||
                        target.kind == TargetKind::kWorstStandardError;
  if (!is_share && !is_error) return absl::InvalidArgumentError("target.kind: there is none");
  if (is_share && !(target.value > 0 && target.value < 1)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("target.value: %s is a share; %g does not lie between 0 and 1",
                        std::string(TargetKindName(target.kind)), target.value));
  }
  if (is_error && !(target.value > 0 && std::isfinite(target.value))) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "target.value: a standard error must be above 0; this is %g", target.value));
  }
  if (target.kind == TargetKind::kStability && target.k < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("target.k: a top k needs a k of at least 1; this is %d", target.k));
  }
  return absl::OkStatus();
}

absl::Status CheckDraws(const TraceLayout& layout) {
  if (layout.values() >= 4) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "there are %d draws; scores have standard errors from 4 on", layout.values()));
}

// The scores of one query, and how much of their spread is truth.
struct QueryScores {
  std::vector<ScoreValue> scores;
  double spread = 0;  // M
  double noise = 0;   // E

  // By how much scores shrink when there are `factor` times the draws: the root of
  // (M - E + E/r) / M.
  static double Shrinkage(double spread, double noise, double factor) {
    if (!(spread > 0)) return 1;
    const double truth = std::max(0.0, spread - noise);
    const double now = truth + noise;
    return now > 0 ? std::sqrt((truth + noise / factor) / now) : 1;
  }

  double StabilityAt(double factor, int64_t k) const {
    const auto n = static_cast<int64_t>(scores.size());
    const int64_t top = std::min(k, n);
    const auto shrink = static_cast<float>(Shrinkage(spread, noise, factor));
    const auto narrow = static_cast<float>(1 / std::sqrt(factor));
    Ranking ranking(top, n, -1);
    for (int64_t i = 0; i < n; ++i) {
      ScoreValue value = scores[i];
      value.score *= shrink;
      value.standard_error *= narrow;
      ranking.Add({i, value});
    }
    const RankingResult result = ranking.Finish();
    return 0.5 * (result.helpful_stability + result.harmful_stability);
  }
};

// How far true scores lie from zero in units of their standard errors, as a mixture of normals with
// these variances; the share of each is found by expectation maximisation.
class Distances {
 public:
  // `scores` in any order; constant ones do not count.
  Distances(absl::Span<const ScoreValue> scores, double degrees) : degrees_(degrees) {
    constexpr size_t kEnough = 4096;
    std::vector<double> squares;  // z^2, of an even sample
    const size_t every = std::max<size_t>(1, scores.size() / kEnough);
    for (size_t i = 0; i < scores.size(); i += every) {
      if (scores[i].constant || !(scores[i].standard_error > 0)) continue;
      const double z =
          static_cast<double>(scores[i].score) / static_cast<double>(scores[i].standard_error);
      squares.push_back(z * z);
    }
    if (squares.empty()) return;
    variances_ = {0};
    const double largest = *std::max_element(squares.begin(), squares.end());
    for (double variance = 0.25; variance <= std::max(1.0, largest); variance *= 2)
      variances_.push_back(variance);
    shares_.assign(variances_.size(), 1 / static_cast<double>(variances_.size()));

    constexpr int kIterations = 300;
    std::vector<double> density(squares.size() * shares_.size());
    for (size_t i = 0; i < squares.size(); ++i) {
      for (size_t k = 0; k < shares_.size(); ++k) {
        const double scale = 1 + variances_[k];
        density[i * shares_.size() + k] =
            std::pow(1 + squares[i] / (scale * degrees_), -0.5 * (degrees_ + 1)) / std::sqrt(scale);
      }
    }
    std::vector<double> sums(shares_.size());
    for (int iteration = 0; iteration < kIterations; ++iteration) {
      std::fill(sums.begin(), sums.end(), 0);
      for (size_t i = 0; i < squares.size(); ++i) {
        const double* of_pair = density.data() + i * shares_.size();
        double total = 0;
        for (size_t k = 0; k < shares_.size(); ++k) total += shares_[k] * of_pair[k];
        for (size_t k = 0; total > 0 && k < shares_.size(); ++k)
          sums[k] += shares_[k] * of_pair[k] / total;
      }
      for (size_t k = 0; k < shares_.size(); ++k)
        shares_[k] = sums[k] / static_cast<double>(squares.size());
    }
  }

  // Share of the pairs that can be told from zero with `factor` times the draws.
  double DistinguishableAt(double factor, double t_quantile) const {
    double share = 0;
    for (size_t k = 0; k < shares_.size(); ++k) {
      const double t = t_quantile / std::sqrt(1 + factor * variances_[k]);
      share += shares_[k] * 2 * (1 - StudentTCdf(t, degrees_));
    }
    return share;
  }

 private:
  double degrees_;
  std::vector<double> variances_;
  std::vector<double> shares_;
};

QueryScores Moments(std::vector<ScoreValue> scores) {
  QueryScores query;
  query.scores = std::move(scores);
  double count = 0;
  for (const ScoreValue& value : query.scores) {
    if (value.constant || !(value.standard_error > 0)) continue;
    const auto score = static_cast<double>(value.score);
    const auto error = static_cast<double>(value.standard_error);
    count += 1;
    query.spread += score * score;
    query.noise += error * error;
  }
  if (count > 0) {
    query.spread /= count;
    query.noise /= count;
  }
  return query;
}

}  // namespace

std::string_view TargetKindName(TargetKind kind) {
  switch (kind) {
    case TargetKind::kMedianStandardError:
      return "MEDIAN_STANDARD_ERROR";
    case TargetKind::kWorstStandardError:
      return "WORST_STANDARD_ERROR";
    case TargetKind::kStability:
      return "STABILITY";
    case TargetKind::kDistinguishable:
      return "DISTINGUISHABLE";
  }
  return "UNKNOWN";
}

absl::StatusOr<PilotReport> MeasurePilot(const TraceLayout& layout, Estimator estimator,
                                         Centring centring, absl::Span<const float> rows,
                                         absl::Span<const float> queries,
                                         const SamplingTarget& target) {
  if (absl::Status status = Check(target); !status.ok()) return status;
  if (absl::Status status = CheckDraws(layout); !status.ok()) return status;
  const auto scorer = Scorer::Create(layout, estimator, centring, queries);
  if (!scorer.ok()) return scorer.status();
  if (rows.size() % static_cast<size_t>(layout.values()) != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("row traces have %d numbers, which is no multiple of %d draws", rows.size(),
                        layout.values()));
  }
  const int64_t row_count = static_cast<int64_t>(rows.size()) / layout.values();
  const int64_t query_count = scorer->queries();
  std::vector<ScoreValue> scores(row_count * query_count);
  scorer->Score(rows, absl::MakeSpan(scores));
  return MeasurePilotScores(layout, scorer->blocks(), scorer->t_quantile(), scores, query_count,
                            target);
}

absl::StatusOr<PilotReport> MeasurePilotScores(const TraceLayout& layout, int64_t blocks,
                                               double t_quantile,
                                               absl::Span<const ScoreValue> scores, int64_t queries,
                                               const SamplingTarget& target) {
  if (absl::Status status = Check(target); !status.ok()) return status;
  if (absl::Status status = CheckDraws(layout); !status.ok()) return status;
  const int64_t query_count = std::max<int64_t>(1, queries);
  const int64_t row_count = static_cast<int64_t>(scores.size()) / query_count;
  std::vector<double> errors;
  for (const ScoreValue& value : scores) {
    if (!value.constant) errors.push_back(value.standard_error);
  }
  if (errors.empty() || !std::isfinite(*std::max_element(errors.begin(), errors.end()))) {
    return absl::FailedPreconditionError(
        errors.empty() ? "no pair of a pilot query and a training sample varies over the draws"
                       : "there are too few draws for standard errors");
  }

  const auto pairs = static_cast<int64_t>(errors.size());
  std::vector<QueryScores> by_query;
  for (int64_t j = 0; j < query_count; ++j) {
    std::vector<ScoreValue> of_query;
    of_query.reserve(row_count);
    for (int64_t i = 0; i < row_count; ++i) of_query.push_back(scores[i * query_count + j]);
    by_query.push_back(Moments(std::move(of_query)));
  }
  const auto stability_at = [&](double factor) {
    double sum = 0;
    for (const QueryScores& query : by_query)
      sum += query.StabilityAt(factor, std::max<int64_t>(1, target.k));
    return sum / static_cast<double>(query_count);
  };
  PilotReport report;
  report.pairs = pairs;
  report.worst_standard_error = *std::max_element(errors.begin(), errors.end());
  report.median_standard_error = QuantilesOf(std::move(errors)).median;
  report.stability = stability_at(1);
  int64_t distinguishable = 0;
  for (const ScoreValue& value : scores)
    distinguishable += Distinguishable(value, t_quantile) ? 1 : 0;
  report.distinguishable = static_cast<double>(distinguishable) / static_cast<double>(pairs);

  Forecast& forecast = report.forecast;
  forecast.target = target.value;
  double factor = 1;
  const auto draws_at = [&](double times) {
    const double draws = std::ceil(times * static_cast<double>(layout.draws));
    return times < kLargestFactor ? static_cast<int64_t>(draws) : kNever;
  };
  if (target.kind == TargetKind::kMedianStandardError ||
      target.kind == TargetKind::kWorstStandardError) {
    forecast.now = target.kind == TargetKind::kMedianStandardError ? report.median_standard_error
                                                                   : report.worst_standard_error;
    forecast.met = forecast.now <= target.value;
    factor = forecast.now / target.value * (forecast.now / target.value);
  } else {
    const bool stability = target.kind == TargetKind::kStability;
    const Distances distances(stability ? absl::Span<const ScoreValue>{} : scores,
                              static_cast<double>(blocks - 1));
    // The mixture foretells the change; where it stands now was counted.
    const double offset = report.distinguishable - distances.DistinguishableAt(1, t_quantile);
    const auto figure = [&](double times) {
      return stability ? stability_at(times)
                       : offset + distances.DistinguishableAt(times, t_quantile);
    };
    forecast.now = stability ? report.stability : report.distinguishable;
    forecast.met = forecast.now >= target.value;
    if (!forecast.met) {
      double low = 1;
      double high = 2;
      while (high < kLargestFactor && figure(high) < target.value) {
        low = high;
        high *= 2;
      }
      for (int i = 0; high < kLargestFactor && i < 12; ++i) {
        const double middle = 0.5 * (low + high);
        (figure(middle) < target.value ? low : high) = middle;
      }
      factor = high;
    }
  }
  forecast.draws_needed = forecast.met ? layout.draws : draws_at(factor);
  return report;
}

std::string PilotReport::ToString() const {
  return absl::StrFormat(
      "standard errors of %d pilot pairs: median %.3g, largest %.3g; %.0f %% of a top k would "
      "stay; "
      "%.1f %% of the pairs can be told from zero. %s",
      pairs, median_standard_error, worst_standard_error, 100 * stability, 100 * distinguishable,
      forecast.met
          ? absl::StrFormat("The target %.3g is met with %.3g", forecast.target, forecast.now)
      : forecast.draws_needed == kNever
          ? absl::StrFormat("The target %.3g is out of reach: it stands at %.3g, and more draws "
                            "would not move it there",
                            forecast.target, forecast.now)
          : absl::StrFormat("The target %.3g stands at %.3g and needs about %d draws a chain",
                            forecast.target, forecast.now, forecast.draws_needed));
}

}  // namespace bif::attribution
