#include "src/attribution/group.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bif::attribution {

void GroupTrace::Add(absl::Span<const float> trace, double weight) {
  const size_t count = std::min(trace.size(), sums_.size());
  for (size_t t = 0; t < count; ++t) sums_[t] += weight * static_cast<double>(trace[t]);
  ++members_;
}

void GroupTrace::Merge(const GroupTrace& other) {
  const size_t count = std::min(other.sums_.size(), sums_.size());
  for (size_t t = 0; t < count; ++t) sums_[t] += other.sums_[t];
  members_ += other.members_;
}

std::vector<float> GroupTrace::Row(bool centred) const {
  double mean = 0;
  if (centred) {
    for (const double v : sums_) mean += v;
    mean /= static_cast<double>(std::max<size_t>(1, sums_.size()));
  }
  std::vector<float> row;
  row.reserve(sums_.size());
  for (const double v : sums_) row.push_back(static_cast<float>(v - mean));
  return row;
}

absl::StatusOr<RemovalPrediction> PredictRemoval(const ScoreValue& group, Estimator estimator,
                                                 double nbeta, int64_t rows, double t_quantile) {
  if (IsCorrelation(estimator)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "what removing a group does cannot be told from ", std::string(EstimatorName(estimator)),
        ", which has no units; ask for BIF or COVARIANCE"));
  }
  if (!(nbeta > 0) || !std::isfinite(nbeta) || rows < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "removing a group needs the posterior's nbeta (%g) and rows (%d), both above 0", nbeta,
        rows));
  }
  const double weight = nbeta / static_cast<double>(rows);
  const double bif = (IsNegated(estimator) ? 1 : -1) * static_cast<double>(group.score);
  RemovalPrediction prediction;
  prediction.change = -weight * bif;
  if (group.constant) {
    prediction.low = prediction.high = prediction.change;
    return prediction;
  }
  prediction.standard_error = weight * static_cast<double>(group.standard_error);
  const double half = t_quantile > 0 ? t_quantile * prediction.standard_error
                                     : std::numeric_limits<double>::infinity();
  prediction.low = prediction.change - half;
  prediction.high = prediction.change + half;
  return prediction;
}

}  // namespace bif::attribution
