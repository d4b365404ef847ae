#include "src/attribution/convergence.h"

#include "gtest/gtest.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

// Printed by tests/golden/convergence.py.
struct GoldenCase {
  const char* name;
  int chains;
  int draws;
  double rho;
  double shift;
  double r_hat;
  double ess;
  double autocorrelation_time;
};
constexpr GoldenCase kGolden[] = {
    {"mixed", 4, 101, 0.6, 0.0, 1.0067111878, 133.40239193, 3.2335853576},
    {"apart", 4, 100, 0.6, 0.3, 1.5224442922, 7.68040613, 114.2306156890},
    {"antithetic", 2, 200, -0.5, 0.0, 0.9986532792, 1040.82399653, 1.0000000000},
    {"slow", 3, 500, 0.95, 0.0, 1.1148107701, 23.26112304, 48.0170282247},
};

TEST(Convergence, GoldenNumbersOfAnIndependentImplementation) {
  for (const GoldenCase& c : kGolden) {
    const std::vector<float> values = GoldenSeries(c.chains, c.draws, c.rho, c.shift);
    EXPECT_NEAR(RankNormalisedRHat(c.chains, c.draws, values), c.r_hat, 1e-8) << c.name;
    EXPECT_NEAR(BulkEss(c.chains, c.draws, values), c.ess, 1e-6 * c.ess) << c.name;
    EXPECT_NEAR(AutocorrelationTime(c.chains, c.draws, values), c.autocorrelation_time,
                1e-6 * c.autocorrelation_time)
        << c.name;
  }
}

TEST(Convergence, AutocorrelationTimeOfAnAr1ProcessIsItsClosedForm) {
  TestRandom random(1);
  std::vector<float> values(4 * 50000);
  double x = 0;
  for (float& v : values) v = static_cast<float>(x = 0.8 * x + random.Normal());
  EXPECT_NEAR(AutocorrelationTime(4, 50000, values), (1 + 0.8) / (1 - 0.8), 0.5);
}

TEST(Convergence, RanksDoNotCareAboutScale) {
  const std::vector<float> values = GoldenSeries(4, 100, 0.6, 0.1);
  std::vector<float> warped;
  for (float v : values) warped.push_back(4 * v);
  EXPECT_DOUBLE_EQ(BulkEss(4, 100, values), BulkEss(4, 100, warped));
}

TEST(Convergence, DegenerateSeriesGiveNeutralNumbers) {
  const std::vector<float> constant(80, 2.0f);
  EXPECT_EQ(RankNormalisedRHat(4, 20, constant), 1);
  EXPECT_EQ(BulkEss(4, 20, constant), 80);
  EXPECT_EQ(AutocorrelationTime(4, 20, constant), 1);
  EXPECT_EQ(RankNormalisedRHat(2, 3, {1, 2, 3, 4, 5, 6}), 1);
}

}  // namespace
}  // namespace bif::attribution
