#include "src/attribution/mixing.h"

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

// Pairs whose two estimates are exactly normal around a truth, with variances of so many degrees of
// freedom: what block means would give.
struct NormalPairs {
  double pathwise_degrees = 19;
  double covariance_degrees = 19;
  double mean_log_ratio = 1;  // of log(V_c / V_p) over pairs
  double spread = 0;          // its standard deviation
  double shared = 0;          // share of the noise, in estimates and variances, common to all pairs
  double pathwise_bias = 0;   // in the pathwise estimate's standard deviations
};

struct Drawn {
  std::vector<ScoreValue> pathwise, covariance;
  std::vector<double> truth, pathwise_variance, covariance_variance;
};

// d normal numbers are means of blocks: their mean is the estimate, their spread its standard
// error.
ScoreValue FromBlocks(double truth, double deviation, int blocks, double shared,
                      const std::vector<double>& common, TestRandom& random) {
  std::vector<double> means(blocks);
  double mean = 0;
  for (int b = 0; b < blocks; ++b) {
    means[b] = deviation * std::sqrt(static_cast<double>(blocks)) *
               (std::sqrt(shared) * common[b] + std::sqrt(1 - shared) * random.Normal());
    mean += means[b] / blocks;
  }
  double squares = 0;
  for (const double m : means) squares += (m - mean) * (m - mean);
  return {static_cast<float>(truth + mean),
          static_cast<float>(std::sqrt(squares / (blocks - 1) / blocks)), false};
}

Drawn Draw(const NormalPairs& of, int pairs, TestRandom& random) {
  Drawn drawn;
  const int p_blocks = static_cast<int>(of.pathwise_degrees) + 1;
  const int c_blocks = static_cast<int>(of.covariance_degrees) + 1;
  std::vector<double> p_common(p_blocks), c_common(c_blocks);
  for (double& v : p_common) v = random.Normal();
  for (double& v : c_common) v = random.Normal();
  for (int i = 0; i < pairs; ++i) {
    const double truth = 3 * random.Normal();
    const double p_variance = std::exp(random.Normal());
    const double c_variance =
        p_variance * std::exp(of.mean_log_ratio + of.spread * random.Normal());
    const double p_deviation = std::sqrt(p_variance);
    drawn.truth.push_back(truth);
    drawn.pathwise_variance.push_back(p_variance);
    drawn.covariance_variance.push_back(c_variance);
    drawn.pathwise.push_back(FromBlocks(truth + of.pathwise_bias * p_deviation, p_deviation,
                                        p_blocks, of.shared, p_common, random));
    drawn.covariance.push_back(
        FromBlocks(truth, std::sqrt(c_variance), c_blocks, of.shared, c_common, random));
  }
  return drawn;
}

Mixer MixerOf(const NormalPairs& of, const Drawn& drawn) {
  return Mixer(drawn.pathwise, of.pathwise_degrees, drawn.covariance, of.covariance_degrees);
}

double Squared(double x) { return x * x; }

struct Outcome {
  double coverage = 0;
  double squared_error = 0;       // of the mixture, in units of the best possible variance
  double own_squared_error = 0;   // of weights from each pair's own variances
  double own_naive_coverage = 0;  // of those, with the variance and degrees as they come
};

Outcome Simulate(const NormalPairs& of, int sets, int pairs) {
  TestRandom random(5);
  Outcome outcome;
  const double naive_t =
      StudentTQuantile(0.975, std::min(of.pathwise_degrees, of.covariance_degrees));
  for (int set = 0; set < sets; ++set) {
    const Drawn drawn = Draw(of, pairs, random);
    const Mixer mixer = MixerOf(of, drawn);
    for (int i = 0; i < pairs; ++i) {
      const ScoreValue& p = drawn.pathwise[i];
      const ScoreValue& c = drawn.covariance[i];
      const MixedScore mix = mixer.Mix(p, c);
      const double error = static_cast<double>(mix.value.score) - drawn.truth[i];
      outcome.coverage += std::abs(error) <= mix.t_quantile * mix.value.standard_error;
      const double best = 1 / (1 / drawn.pathwise_variance[i] + 1 / drawn.covariance_variance[i]);
      outcome.squared_error += error * error / best;

      const double own =
          Squared(c.standard_error) / (Squared(p.standard_error) + Squared(c.standard_error));
      const double own_error = own * p.score + (1 - own) * c.score - drawn.truth[i];
      outcome.own_squared_error += own_error * own_error / best;
      outcome.own_naive_coverage +=
          std::abs(own_error) <= naive_t * std::sqrt(own) * static_cast<double>(p.standard_error);
    }
  }
  const double count = static_cast<double>(sets) * pairs;
  return {outcome.coverage / count, outcome.squared_error / count,
          outcome.own_squared_error / count, outcome.own_naive_coverage / count};
}

class MixedCoverage : public testing::TestWithParam<std::tuple<double, double, double>> {};

TEST_P(MixedCoverage, IntervalsOf95PercentCoverTheTruthIn93To97Percent) {
  const auto& [pathwise_degrees, spread, shared] = GetParam();
  for (const double mean_log_ratio : {0.0, 2.0}) {
    const NormalPairs of{pathwise_degrees, 19, mean_log_ratio, spread, shared};
    const double coverage = Simulate(of, 400, 20).coverage;
    EXPECT_GE(coverage, 0.93) << mean_log_ratio;
    EXPECT_LE(coverage, 0.97) << mean_log_ratio;
  }
}

INSTANTIATE_TEST_SUITE_P(All, MixedCoverage,
                         testing::Combine(testing::Values(7.0, 19.0),
                                          testing::Values(0.0, 1.0, 2.5),
                                          testing::Values(0.0, 0.5)));

TEST(Mixing, OwnWeightsWithoutCorrectionCoverTooLittleAndMissMore) {
  // Four blocks each and one true weight: what shrinking and Meier's correction are for.
  const Outcome outcome = Simulate({3, 3, 0, 0, 0}, 400, 20);
  EXPECT_LT(outcome.own_naive_coverage, 0.93);
  EXPECT_GT(outcome.coverage, 0.95);  // so few degrees err on the wide side
  EXPECT_GT(outcome.own_squared_error, 1.2);
  EXPECT_LT(outcome.squared_error, 1.12);
}

TEST(Mixing, OneTrueRatioIsFoundAndShared) {
  TestRandom random(1);
  const NormalPairs of{7, 19, std::log(4.0), 0, 0};
  const Mixer mixer = MixerOf(of, Draw(of, 4000, random));
  EXPECT_NEAR(mixer.common_weight(), 0.8, 0.01);  // V_c / (V_p + V_c) = 4/5
  EXPECT_LT(mixer.own_share(), 0.1);
}

TEST(Mixing, ShrinksByTheShareOfNoiseInTheSpread) {
  TestRandom random(2);
  const NormalPairs of{7, 19, 0, 1.5, 0};
  const Mixer mixer = MixerOf(of, Draw(of, 4000, random));
  const double noise = Trigamma(3.5) + Trigamma(9.5);
  EXPECT_NEAR(mixer.own_share(), 1.5 * 1.5 / (1.5 * 1.5 + noise), 0.02);
  EXPECT_NEAR(mixer.common_weight(), 0.5, 0.01);
}

TEST(Mixing, AMixtureOfEqualsHasTwiceTheDegreesAndHalfTheVariance) {
  // All pairs alike, so that the formulas can be worked by hand: w = 1/2, u = 1/4 each.
  const std::vector<ScoreValue> ones(10, {2, 1, false});
  const std::vector<ScoreValue> threes(10, {4, 1, false});
  const Mixer mixer(ones, 19, threes, 19);
  const MixedScore mix = mixer.Mix(ones[0], threes[0]);
  EXPECT_FLOAT_EQ(mix.value.score, 3);
  EXPECT_NEAR(mix.pathwise_weight, 0.5, 1e-12);
  EXPECT_NEAR(mix.degrees, 38, 1e-9);
  EXPECT_NEAR(mix.value.standard_error, std::sqrt(0.5 + 4 * 0.5 * 0.25 / 19 * 2), 1e-6);
  EXPECT_NEAR(mix.t_quantile, StudentTQuantile(0.975, 38), 1e-4);
}

TEST(Mixing, WhereOneEstimateSaysNothingTheOtherIsTheAnswer) {
  const ScoreValue known{2, 0.5, false};
  const ScoreValue unknown{7, std::numeric_limits<float>::infinity(), false};
  const ScoreValue constant{0, 0, true};
  const Mixer mixer(std::vector<ScoreValue>(3, known), 5, std::vector<ScoreValue>(3, known), 19);
  for (const ScoreValue& other : {unknown, constant}) {
    const MixedScore p = mixer.Mix(known, other);
    EXPECT_EQ(p.value.score, 2);
    EXPECT_EQ(p.pathwise_weight, 1);
    EXPECT_EQ(p.degrees, 5);
    const MixedScore c = mixer.Mix(other, known);
    EXPECT_EQ(c.value.standard_error, 0.5f);
    EXPECT_EQ(c.pathwise_weight, 0);
    EXPECT_EQ(c.degrees, 19);
  }
  EXPECT_TRUE(mixer.Mix(constant, constant).value.constant);
  const Mixer nothing({}, 5, {}, 19);  // no pair to learn from
  EXPECT_EQ(nothing.own_share(), 1);
  EXPECT_GT(nothing.Mix({1, 1, false}, {3, 1, false}).value.standard_error, 0);
}

TEST(Mixing, DisagreementIsFivePercentByChanceAndShowsABias) {
  TestRandom random(3);
  NormalPairs of{19, 19, 0, 1, 0};
  EXPECT_NEAR(MixerOf(of, Draw(of, 10000, random)).share_that_disagree(), 0.05, 0.01);
  of.pathwise_bias = 4;
  EXPECT_GT(MixerOf(of, Draw(of, 10000, random)).share_that_disagree(), 0.5);
}

}  // namespace
}  // namespace bif::attribution
