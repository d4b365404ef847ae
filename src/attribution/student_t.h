// Distribution functions that intervals and diagnostics need.
#pragma once

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

double NormalCdf(double z);
// The z with NormalCdf(z) = probability, 0 < probability < 1.
double NormalQuantile(double probability);

}  // namespace bif::attribution
