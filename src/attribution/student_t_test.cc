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

}  // namespace
}  // namespace bif::attribution
