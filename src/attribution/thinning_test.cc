#include "src/attribution/thinning.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

TEST(Thinning, EfficiencyIsOneWithoutThinning) {
  for (double rho : {0.0, 0.5, 0.99}) EXPECT_DOUBLE_EQ(ThinningEfficiency(1, rho, 3), 1);
}

TEST(Thinning, EfficiencyAgreesWithSummedAutocorrelations) {
  // Variance of a mean of n draws k apart is proportional to (1 + 2 sum_j rho^(kj)) / n, and cost
  // to n (k + theta).
  const double rho = 0.9;
  const double theta = 5;
  const auto cost_times_variance = [&](int k) {
    double time = 1;
    for (int j = 1; j < 2000; ++j) time += 2 * std::pow(rho, k * j);
    return time * (k + theta);
  };
  for (int k : {2, 5, 20}) {
    EXPECT_NEAR(ThinningEfficiency(k, rho, theta), cost_times_variance(1) / cost_times_variance(k),
                1e-9);
  }
}

std::vector<float> Ar1Traces(int rows, int chains, int steps, double rho) {
  TestRandom random(9);
  std::vector<float> traces;
  for (int i = 0; i < rows * chains; ++i) {
    double x = random.Normal() / std::sqrt(1 - rho * rho);
    for (int t = 0; t < steps; ++t)
      traces.push_back(static_cast<float>(x = rho * x + random.Normal()));
  }
  return traces;
}

TEST(Thinning, IndependentTracesNeedNoThinning) {
  EXPECT_EQ(ChooseThinning(2, 400, Ar1Traces(16, 2, 400, 0), 10, 100).steps_between_draws, 1);
}

TEST(Thinning, CheapTracesAreTakenOftenAndDearOnesSeldom) {
  const auto traces = Ar1Traces(16, 4, 1000, 0.95);
  const ThinningChoice cheap = ChooseThinning(4, 1000, traces, 0.01, 200);
  const ThinningChoice dear = ChooseThinning(4, 1000, traces, 30, 200);
  EXPECT_LE(cheap.steps_between_draws, 4);
  EXPECT_GE(dear.steps_between_draws, 10);
  EXPECT_NEAR(dear.autocorrelation, 0.95 * 0.95, 0.03);
  EXPECT_GT(dear.relative_efficiency, 3);
}

TEST(Thinning, NeverAboveTheLimitAndNeverBelowOne) {
  const auto traces = Ar1Traces(4, 2, 500, 0.99);
  EXPECT_EQ(ChooseThinning(2, 500, traces, 1000, 5).steps_between_draws, 5);
  EXPECT_EQ(ChooseThinning(2, 500, {}, 1000, 5).steps_between_draws, 1);
}

}  // namespace
}  // namespace bif::attribution
