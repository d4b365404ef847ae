#include "src/attribution/student_t.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace bif::attribution {
namespace {

// The continued fraction of DLMF 8.17.22, evaluated from the front by Lentz's method
// (DLMF 3.10(iii)).
double BetaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1;
  double d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double value = d;
  for (int m = 1; m < 10000; ++m) {
    for (int half = 0; half < 2; ++half) {
      const double term = half == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                    : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 + term * d;
      c = 1 + term / c;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      if (std::abs(c) < kTiny) c = kTiny;
      value *= c * d;
    }
    if (std::abs(c * d - 1) < 1e-15) break;
  }
  return value;
}

// Solves f(x) = target for an increasing f, between bounds that are widened until they hold the
// answer.
template <typename F>
double InvertIncreasing(F f, double target) {
  double low = -1;
  double high = 1;
  while (f(low) > target) low *= 2;
  while (f(high) < target) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    (f(middle) < target ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

// Of a positive number. std::lgamma writes the sign into a variable that all threads share.
double LogGamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

constexpr int64_t kSteps = 48;  // of the table of quantiles

}  // namespace

double RegularisedBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * std::log(x) + b * std::log1p(-x));
  // The fraction converges fast on the near side of the mean; the other side is 1 minus it
  // (DLMF 8.17.4).
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(a, b, x) / a;
  return 1 - front * BetaFraction(b, a, 1 - x) / b;
}

double StudentTCdf(double t, double degrees) {
  const double tail = 0.5 * RegularisedBeta(0.5 * degrees, 0.5, degrees / (degrees + t * t));
  return t > 0 ? 1 - tail : tail;
}

double StudentTQuantile(double probability, double degrees) {
  return InvertIncreasing([degrees](double t) { return StudentTCdf(t, degrees); }, probability);
}

StudentTQuantiles::StudentTQuantiles(double probability, double fewest)
    : largest_inverse_(1 / fewest), table_(kSteps + 1) {
  table_[0] = NormalQuantile(probability);
  for (int64_t i = 1; i <= kSteps; ++i) {
    table_[i] = StudentTQuantile(probability,
                                 static_cast<double>(kSteps) / static_cast<double>(i) * fewest);
  }
}

double StudentTQuantiles::At(double degrees) const {
  // The parabola through the three nearest entries.
  const double inverse = std::clamp(1 / degrees, 0.0, largest_inverse_);
  const double position = inverse / largest_inverse_ * static_cast<double>(kSteps);
  const int64_t middle = std::clamp<int64_t>(std::llround(position), 1, kSteps - 1);
  const double x = position - static_cast<double>(middle);
  const double before = table_[middle - 1];
  const double at = table_[middle];
  const double after = table_[middle + 1];
  return at + 0.5 * x * (after - before + x * (after - 2 * at + before));
}

double Digamma(double x) {
  double sum = 0;
  for (; x < 10; ++x) sum -= 1 / x;
  const double q = 1 / (x * x);
  return sum + std::log(x) - 0.5 / x -
         q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 - q / 132))));
}

double Trigamma(double x) {
  double sum = 0;
  for (; x < 10; ++x) sum += 1 / (x * x);
  const double q = 1 / (x * x);
  return sum + 1 / x + 0.5 * q +
         q / x * (1.0 / 6 - q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * 5 / 66))));
}

double NormalCdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

double NormalQuantile(double probability) {
  // Abramowitz and Stegun 26.2.23 for the upper tail, within 4.5e-4; then Halley's steps on the
  // distribution function.
  const double tail = probability < 0.5 ? probability : 1 - probability;
  const double t = std::sqrt(-2 * std::log(tail));
  double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                     (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int i = 0; i < 2; ++i) {
    const double error = 0.5 * std::erfc(z / std::sqrt(2.0)) - tail;
    const double newton = error * std::sqrt(2 * M_PI) * std::exp(0.5 * z * z);
    z += newton / (1 + 0.5 * newton * z);
  }
  return probability < 0.5 ? -z : z;
}

}  // namespace bif::attribution
