#include "src/attribution/diagnostics.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

std::vector<float> Noise(int64_t count, double mean, double spread, uint64_t seed) {
  TestRandom random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(mean + spread * random.Normal());
  return values;
}

// Three traces of 4 chains x 100 draws that look well mixed.
DiagnosticsInput MixedInput(const std::vector<float>& loss, const std::vector<float>& traces) {
  DiagnosticsInput input;
  input.chains = 4;
  input.draws = 100;
  input.sampling_loss = loss;
  input.mean_trace_loss = loss;
  input.traces = traces;
  input.anchor_loss = 0.4;
  input.nbeta = 1000;
  return input;
}

TEST(Diagnostics, IndependentDrawsAreMixed) {
  const auto loss = Noise(400, 0.5, 0.05, 1);
  const auto traces = Noise(3 * 400, 1, 0.1, 2);
  const DiagnosticsResult result = Diagnose(MixedInput(loss, traces));
  EXPECT_EQ(VerdictName(result.verdict), "MIXED");
  EXPECT_NEAR(result.r_hat, 1, 0.02);
  EXPECT_GT(result.ess_bulk, 250);
  EXPECT_GT(result.trace_ess.median, 250);
}

TEST(Diagnostics, LlcIsNbetaTimesTheLossAboveTheAnchorWithItsError) {
  const auto loss = Noise(400, 0.5, 0.05, 1);
  const DiagnosticsResult result = Diagnose(MixedInput(loss, {}));
  double mean = 0;
  for (float v : loss) mean += v / 400.0;
  EXPECT_NEAR(result.mean_loss, mean, 1e-9);
  EXPECT_NEAR(result.llc, 1000 * (mean - 0.4), 1e-6);
  // Independent draws: sd / sqrt(400) = 0.0025, so 2.5 after nbeta; 20 blocks know it within a
  // third.
  EXPECT_NEAR(result.llc_standard_error, 2.5, 0.9);
  EXPECT_NEAR(result.llc, 100, 3 * 2.5);
}

TEST(Diagnostics, RisingLossIsDrifting) {
  auto loss = Noise(400, 0.5, 0.05, 1);
  for (size_t i = 0; i < loss.size(); ++i) loss[i] += 0.005f * static_cast<float>(i % 100);
  const DiagnosticsResult result = Diagnose(MixedInput(loss, {}));
  EXPECT_EQ(VerdictName(result.verdict), "DRIFTING");
  EXPECT_THAT(result.explanation, testing::HasSubstr("burn_in_steps"));
}

TEST(Diagnostics, TracesThatHardlyMoveAreStuckAtTheAnchor) {
  const auto loss = Noise(400, 0.5, 0.05, 1);
  const auto traces = Noise(3 * 400, 1, 1e-6, 2);
  const DiagnosticsResult result = Diagnose(MixedInput(loss, traces));
  EXPECT_EQ(VerdictName(result.verdict), "STUCK_AT_ANCHOR");
  EXPECT_THAT(result.explanation, testing::HasSubstr("step_size"));
}

TEST(Diagnostics, MostChainsDivergedIsDiverged) {
  const auto loss = Noise(400, 0.5, 0.05, 1);
  DiagnosticsInput input = MixedInput(loss, {});
  input.diverged_chains = 5;
  EXPECT_EQ(VerdictName(Diagnose(input).verdict), "DIVERGED");
  input.diverged_chains = 1;
  EXPECT_EQ(VerdictName(Diagnose(input).verdict), "MIXED");
  EXPECT_THAT(Diagnose(input).explanation, testing::HasSubstr("1 of 5 chains diverged"));
}

TEST(Diagnostics, NoChainLeftIsDivergedAndNoDrawsYetIsNot) {
  DiagnosticsInput input;
  input.diverged_chains = 4;
  EXPECT_EQ(VerdictName(Diagnose(input).verdict), "DIVERGED");
  input.diverged_chains = 0;
  EXPECT_EQ(VerdictName(Diagnose(input).verdict), "DRIFTING");
}

TEST(Quantiles, InterpolateBetweenOrderStatistics) {
  const Quantiles q = QuantilesOf({5, 1, 3, 2, 4});
  EXPECT_DOUBLE_EQ(q.median, 3);
  EXPECT_DOUBLE_EQ(q.p05, 1.2);
  EXPECT_DOUBLE_EQ(q.p95, 4.8);
  EXPECT_EQ(QuantilesOf({}).median, 0);
}

}  // namespace
}  // namespace bif::attribution
