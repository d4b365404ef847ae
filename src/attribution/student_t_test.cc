#include "src/attribution/student_t.h"

#include <cmath>

#include "gtest/gtest.h"

namespace bif::attribution {
namespace {

// Printed tables (Abramowitz and Stegun, table 26.10), two-sided 95 % and 99 %.
TEST(StudentT, QuantilesOfPrintedTables) {
  EXPECT_NEAR(StudentTQuantile(0.975, 1), 12.706, 5e-4);
  EXPECT_NEAR(StudentTQuantile(0.975, 3), 3.182, 5e-4);
  EXPECT_NEAR(StudentTQuantile(0.975, 4), 2.776, 5e-4);
  EXPECT_NEAR(StudentTQuantile(0.975, 19), 2.093, 5e-4);
  EXPECT_NEAR(StudentTQuantile(0.975, 120), 1.980, 5e-4);
  EXPECT_NEAR(StudentTQuantile(0.995, 10), 3.169, 5e-4);
  EXPECT_NEAR(StudentTQuantile(0.025, 19), -2.093, 5e-4);
}

TEST(StudentT, ClosedFormsOfOneAndTwoDegrees) {
  for (double p : {0.01, 0.3, 0.6, 0.975, 0.999}) {
    EXPECT_NEAR(StudentTQuantile(p, 1), std::tan(M_PI * (p - 0.5)),
                1e-9 * std::abs(std::tan(M_PI * (p - 0.5))) + 1e-12);
    const double a = 2 * p - 1;
    EXPECT_NEAR(StudentTQuantile(p, 2), a * std::sqrt(2 / (1 - a * a)), 1e-9);
  }
}

TEST(StudentT, ManyDegreesAreNormal) {
  EXPECT_NEAR(StudentTQuantile(0.975, 1e7), NormalQuantile(0.975), 1e-5);
}

TEST(NormalQuantile, InvertsTheDistributionFunction) {
  EXPECT_NEAR(NormalQuantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.5), 0, 1e-12);
  for (double p : {1e-8, 1e-3, 0.2, 0.49, 0.51, 0.9, 1 - 1e-6}) {
    EXPECT_NEAR(NormalCdf(NormalQuantile(p)), p, 1e-13) << p;
  }
}

TEST(RegularisedBeta, KnownValues) {
  EXPECT_NEAR(RegularisedBeta(2, 3, 0.4), 0.5248, 1e-12);  // a polynomial: 6x^2 - 8x^3 + 3x^4
  EXPECT_NEAR(RegularisedBeta(0.5, 0.5, 0.5), 0.5, 1e-12);
  EXPECT_EQ(RegularisedBeta(2, 3, 0), 0);
  EXPECT_EQ(RegularisedBeta(2, 3, 1), 1);
}

TEST(StudentTQuantiles, AgreeWithTheQuantile) {
  for (const double fewest : {1.0, 3.0, 19.0}) {
    const StudentTQuantiles quantiles(0.975, fewest);
    for (const double times : {1.0, 1.03, 1.7, 2.0, 5.5, 40.0, 1e4}) {
      const double expected = StudentTQuantile(0.975, fewest * times);
      EXPECT_NEAR(quantiles.At(fewest * times), expected, 1e-4 * expected) << fewest * times;
    }
    EXPECT_NEAR(quantiles.At(1e300), NormalQuantile(0.975), 1e-9);
  }
}

TEST(Digamma, KnownValues) {
  constexpr double kEuler = 0.57721566490153286;
  EXPECT_NEAR(Digamma(1), -kEuler, 1e-12);                        // DLMF 5.4.12
  EXPECT_NEAR(Digamma(0.5), -kEuler - 2 * std::log(2.0), 1e-12);  // DLMF 5.4.13
  EXPECT_NEAR(Digamma(30), Digamma(29) + 1.0 / 29, 1e-12);
  EXPECT_NEAR(Trigamma(1), M_PI * M_PI / 6, 1e-12);
  EXPECT_NEAR(Trigamma(0.5), M_PI * M_PI / 2, 1e-12);
  EXPECT_NEAR(Trigamma(30), Trigamma(29) - 1.0 / (29 * 29), 1e-12);
}

}  // namespace
}  // namespace bif::attribution
