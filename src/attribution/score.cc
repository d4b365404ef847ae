#include "src/attribution/score.h"

#include <cmath>

namespace bif::attribution {

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
    case Estimator::kPathwise:
      return "PATHWISE";
    case Estimator::kMixed:
      return "MIXED";
  }
  return "UNKNOWN";
}

bool IsCorrelation(Estimator estimator) {
  return estimator == Estimator::kNormalizedBif || estimator == Estimator::kCorrelation;
}

bool IsNegated(Estimator estimator) {
  return estimator == Estimator::kBif || estimator == Estimator::kNormalizedBif ||
         NeedsSlopes(estimator);
}

bool NeedsSlopes(Estimator estimator) {
  return estimator == Estimator::kPathwise || estimator == Estimator::kMixed;
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
