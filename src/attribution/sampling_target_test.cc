#include "src/attribution/sampling_target.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

constexpr int64_t kRows = 400;
constexpr int64_t kQueries = 3;
constexpr int64_t kChains = 4;

// Independent normal draws. Row i and query j have correlation loads[i] * 0.5 through one factor
// each query; half of the rows have none.
struct Pilot {
  TraceLayout layout;
  std::vector<float> rows;
  std::vector<float> queries;
};

Pilot Draw(int64_t draws, double load, uint64_t seed) {
  Pilot pilot{MakeLayout(kChains, draws, 1), {}, {}};
  const int64_t values = kChains * draws;
  TestRandom truth(1);  // the same rows whatever the draws
  TestRandom random(seed);
  std::vector<float> factors(kQueries * values);
  for (float& v : factors) v = static_cast<float>(random.Normal());
  for (int64_t k = 0; k < kQueries * values; ++k)
    pilot.queries.push_back(factors[k] + static_cast<float>(random.Normal()));
  for (int64_t i = 0; i < kRows; ++i) {
    std::vector<double> loads(kQueries);
    for (double& v : loads) v = i % 2 == 0 ? load * truth.Normal() : 0;
    for (int64_t t = 0; t < values; ++t) {
      double x = random.Normal();
      for (int64_t j = 0; j < kQueries; ++j) x += loads[j] * factors[j * values + t];
      pilot.rows.push_back(static_cast<float>(x));
    }
  }
  return pilot;
}

PilotReport Measure(const Pilot& pilot, const SamplingTarget& target) {
  auto report = MeasurePilot(pilot.layout, Estimator::kBif, Centring::kPooled, pilot.rows,
                             pilot.queries, target);
  EXPECT_TRUE(report.ok()) << report.status();
  return *std::move(report);
}

TEST(SamplingTarget, StandardErrorsAreForetold) {
  const Pilot small = Draw(100, 0.2, 1);
  for (const TargetKind kind :
       {TargetKind::kMedianStandardError, TargetKind::kWorstStandardError}) {
    const double now = Measure(small, {kind, 1e-9}).forecast.now;
    const Forecast forecast = Measure(small, {kind, 0.5 * now}).forecast;
    EXPECT_FALSE(forecast.met);
    EXPECT_NEAR(forecast.draws_needed, 400, 1);
    const Forecast then = Measure(Draw(400, 0.2, 2), {kind, 0.5 * now}).forecast;
    EXPECT_NEAR(then.now / (0.5 * now), 1, 0.1);
  }
  // The median is that of independent normal pairs: sd(x) sd(query) / sqrt(N).
  EXPECT_NEAR(Measure(small, {TargetKind::kMedianStandardError, 1}).median_standard_error,
              std::sqrt(2.0) / 20, 0.1 * std::sqrt(2.0) / 20);
}

TEST(SamplingTarget, DistinguishableSharesAreForetold) {
  const double reached =
      Measure(Draw(900, 0.2, 3), {TargetKind::kDistinguishable, 0.9}).distinguishable;
  const PilotReport now = Measure(Draw(100, 0.2, 4), {TargetKind::kDistinguishable, reached});
  EXPECT_LT(now.distinguishable, 0.8 * reached);
  EXPECT_FALSE(now.forecast.met);
  EXPECT_GT(now.forecast.draws_needed, 500);
  EXPECT_LT(now.forecast.draws_needed, 1800);
  EXPECT_NE(now.ToString().find("needs about"), std::string::npos);
}

TEST(SamplingTarget, StabilityIsForetold) {
  const SamplingTarget target{TargetKind::kStability, 0.99, 10};
  const double reached = Measure(Draw(900, 0.2, 3), target).stability;
  const PilotReport now = Measure(Draw(100, 0.2, 4), {TargetKind::kStability, reached, 10});
  EXPECT_LT(now.stability, reached);
  EXPECT_GT(now.forecast.draws_needed, 500);
  EXPECT_LT(now.forecast.draws_needed, 1800);
}

TEST(SamplingTarget, AMetTargetNeedsNoMoreDraws) {
  for (const TargetKind kind :
       {TargetKind::kMedianStandardError, TargetKind::kWorstStandardError}) {
    const Forecast forecast = Measure(Draw(50, 0.2, 5), {kind, 100}).forecast;
    EXPECT_TRUE(forecast.met);
    EXPECT_EQ(forecast.draws_needed, 50);
  }
  EXPECT_TRUE(Measure(Draw(50, 0.2, 5), {TargetKind::kDistinguishable, 0.001}).forecast.met);
}

TEST(SamplingTarget, WithoutSignalMostOfAllPairsAreNeverDistinguishable) {
  const PilotReport report = Measure(Draw(100, 0, 6), {TargetKind::kDistinguishable, 0.9});
  EXPECT_NEAR(report.distinguishable, 0.05, 0.02);  // by chance
  // What moments take for signal by chance needs very many draws, or there is none of it.
  EXPECT_GT(report.forecast.draws_needed, 100 * 100);
}

TEST(SamplingTarget, RefusesTargetsThatCannotBe) {
  const Pilot pilot = Draw(10, 0.2, 7);
  const auto code = [&](SamplingTarget target) {
    return MeasurePilot(pilot.layout, Estimator::kBif, Centring::kPooled, pilot.rows, pilot.queries,
                        target)
        .status()
        .code();
  };
  EXPECT_EQ(code({TargetKind::kStability, 1.5}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({TargetKind::kStability, 0.5, 0}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({TargetKind::kDistinguishable, 0}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({TargetKind::kWorstStandardError, -1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({static_cast<TargetKind>(9), 1}), absl::StatusCode::kInvalidArgument);
}

TEST(SamplingTarget, NeedsDrawsAndSomethingThatVaries) {
  const SamplingTarget target{TargetKind::kDistinguishable, 0.5};
  const TraceLayout two = MakeLayout(1, 2, 1);
  EXPECT_EQ(MeasurePilot(two, Estimator::kBif, Centring::kPooled, std::vector<float>{1, 2},
                         std::vector<float>{1, 2}, target)
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
  const TraceLayout layout = MakeLayout(1, 8, 1);
  EXPECT_EQ(MeasurePilot(layout, Estimator::kBif, Centring::kPooled, std::vector<float>(8, 1),
                         std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}, target)
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace bif::attribution
