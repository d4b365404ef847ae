// Distribution functions that intervals and diagnostics need.
#pragma once

#include <vector>

namespace bif::attribution {

// Regularised incomplete beta function I_x(a, b), a, b > 0, by the continued fraction DLMF 8.17.22
// (dlmf.nist.gov), to about 1e-14.
double RegularisedBeta(double a, double b, double x);

// P(T <= t) for Student's t with `degrees` > 0 degrees of freedom (DLMF 8.17; Abramowitz and
// Stegun 26.7.1).
double StudentTCdf(double t, double degrees);

// The t with P(T <= t) = probability, 0 < probability < 1, by bisection on the distribution
// function.
double StudentTQuantile(double probability, double degrees);

// StudentTQuantile for one probability and many numbers of degrees, from a table: 20 ns instead of
// 20 us. Interpolated in 1 / degrees, within 1e-4 of the quantile at 95 %. Thread-compatible.
class StudentTQuantiles {
 public:
  // For degrees from `fewest` > 0 to infinity; fewer are taken as `fewest`.
  StudentTQuantiles(double probability, double fewest);
  double At(double degrees) const;

 private:
  double largest_inverse_;  // 1 / fewest
  std::vector<double> table_;
};

// The derivatives of log Gamma, first and second, x > 0: by the recurrence up to x >= 10 and then
// the asymptotic series (DLMF 5.5.2, 5.11.2, 5.15.5, 5.15.8), to about 1e-12.
double Digamma(double x);
double Trigamma(double x);

double NormalCdf(double z);
// The z with NormalCdf(z) = probability, 0 < probability < 1.
double NormalQuantile(double probability);

}  // namespace bif::attribution
