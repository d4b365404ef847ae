#include "src/attribution/mixing.h"

#include <algorithm>
#include <cmath>

namespace bif::attribution {
namespace {

// What log(s^2 / V) is on average, with s^2 on so many degrees of freedom.
double MeanOfLogVariance(double degrees) {
  return Digamma(0.5 * degrees) - std::log(0.5 * degrees);
}
double VarianceOfLogVariance(double degrees) { return Trigamma(0.5 * degrees); }

double Variance(const ScoreValue& value) {
  const auto standard_error = static_cast<double>(value.standard_error);
  return standard_error * standard_error;
}

bool Usable(const ScoreValue& value) {
  return !value.constant && std::isfinite(value.standard_error) && value.standard_error > 0;
}

double LogRatio(const ScoreValue& pathwise, const ScoreValue& covariance) {
  return 2 * (std::log(static_cast<double>(covariance.standard_error)) -
              std::log(static_cast<double>(pathwise.standard_error)));
}

double Satterthwaite(double u, double u_degrees, double v, double v_degrees) {
  return (u + v) * (u + v) / (u * u / u_degrees + v * v / v_degrees);
}

double Logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Mixer::Mixer(absl::Span<const ScoreValue> pathwise, double pathwise_degrees,
             absl::Span<const ScoreValue> covariance, double covariance_degrees)
    : pathwise_degrees_(std::max(1.0, pathwise_degrees)),
      covariance_degrees_(std::max(1.0, covariance_degrees)),
      quantiles_(0.975, std::min(pathwise_degrees_, covariance_degrees_)) {
  const size_t pairs = std::min(pathwise.size(), covariance.size());
  double count = 0;
  double sum = 0;
  double disagree = 0;
  for (size_t i = 0; i < pairs; ++i) {
    if (!Usable(pathwise[i]) || !Usable(covariance[i])) continue;
    count += 1;
    sum += LogRatio(pathwise[i], covariance[i]);
    const double u = Variance(pathwise[i]);
    const double v = Variance(covariance[i]);
    const double t = quantiles_.At(Satterthwaite(u, pathwise_degrees_, v, covariance_degrees_));
    const double difference =
        static_cast<double>(pathwise[i].score) - static_cast<double>(covariance[i].score);
    disagree += std::abs(difference) > t * std::sqrt(u + v) ? 1 : 0;
  }
  if (count > 0) {
    mean_log_ratio_ = sum / count;
    share_that_disagree_ = disagree / count;
  }
  common_log_ratio_ = mean_log_ratio_ - (MeanOfLogVariance(covariance_degrees_) -
                                         MeanOfLogVariance(pathwise_degrees_));
  if (count < 2) return;
  double squares = 0;
  for (size_t i = 0; i < pairs; ++i) {
    if (!Usable(pathwise[i]) || !Usable(covariance[i])) continue;
    const double distance = LogRatio(pathwise[i], covariance[i]) - mean_log_ratio_;
    squares += distance * distance;
  }
  const double noise =
      VarianceOfLogVariance(pathwise_degrees_) + VarianceOfLogVariance(covariance_degrees_);
  own_share_ = std::max(0.0, 1 - noise * (count - 1) / std::max(squares, 1e-300));
}

MixedScore Mixer::Mix(const ScoreValue& pathwise, const ScoreValue& covariance) const {
  if (!Usable(covariance)) {
    return {pathwise, 1, pathwise_degrees_, quantiles_.At(pathwise_degrees_)};
  }
  if (!Usable(pathwise)) {
    return {covariance, 0, covariance_degrees_, quantiles_.At(covariance_degrees_)};
  }
  const double log_ratio =
      common_log_ratio_ + own_share_ * (LogRatio(pathwise, covariance) - mean_log_ratio_);
  const double w = Logistic(log_ratio);
  const double rest = Logistic(-log_ratio);
  const double u = w * w * Variance(pathwise);
  const double v = rest * rest * Variance(covariance);
  const double variance =
      u + v + 4 * rest * u / pathwise_degrees_ + 4 * w * v / covariance_degrees_;
  MixedScore mixed;
  mixed.value.score = static_cast<float>(w * static_cast<double>(pathwise.score) +
                                         rest * static_cast<double>(covariance.score));
  mixed.value.standard_error = static_cast<float>(std::sqrt(variance));
  mixed.pathwise_weight = w;
  mixed.degrees = Satterthwaite(u, pathwise_degrees_, v, covariance_degrees_);
  mixed.t_quantile = quantiles_.At(mixed.degrees);
  return mixed;
}

double Mixer::common_weight() const { return Logistic(common_log_ratio_); }

}  // namespace bif::attribution
