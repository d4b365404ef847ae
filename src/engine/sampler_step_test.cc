#include "src/engine/sampler_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "src/engine/gaussian_noise.h"

namespace bif::engine {
namespace {

// The golden case: loss 0.5 * sum(a w^2), three steps with these rows of noise.
constexpr std::array<double, 3> kA = {1, 0.1, 4};
constexpr std::array<double, 3> kStart = {0.5, -1.25, 2};
constexpr std::array<std::array<double, 3>, 3> kNoise = {
    {{0.3, -1.1, 0.7}, {-0.4, 0.9, -2.0}, {1.6, -0.2, 0.05}}};

StepRule GoldenRule(Algorithm algorithm) {
  StepRule rule;
  rule.algorithm = algorithm;
  rule.step_size = 1e-3;
  rule.nbeta = 30;
  rule.gamma = 100;
  rule.weight_decay = 0.1;
  return rule;
}

// The first `moving` elements move, the others are outside the filter.
template <typename T>
std::vector<T> ThreeSteps(const StepRule& rule, size_t moving = 3) {
  const std::vector<T> anchor(kStart.begin(), kStart.end());
  std::vector<T> w = anchor, v(3, 0);
  for (const auto& row : kNoise) {
    std::vector<T> gradient(3);
    for (size_t i = 0; i < 3; ++i) gradient[i] = static_cast<T>(kA[i]) * w[i];
    const std::vector<T> noise(row.begin(), row.end());
    EXPECT_TRUE(SamplerStep<T>(rule, absl::MakeConstSpan(gradient).subspan(0, moving),
                               absl::MakeConstSpan(anchor).subspan(0, moving),
                               absl::MakeConstSpan(noise).subspan(0, moving),
                               absl::MakeSpan(w).subspan(0, moving),
                               absl::MakeSpan(v).subspan(0, moving)));
  }
  return w;
}

void ExpectDigits(const std::vector<double>& w, const std::array<double, 3>& want) {
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(w[i], want[i], 0.5e-12) << i;  // all twelve printed digits
}

TEST(SamplerStep, SgldReproducesTheGoldenNumbers) {
  ExpectDigits(ThreeSteps<double>(GoldenRule(Algorithm::kSgld)),
               {0.525924557830, -1.255104333815, 1.640724153255});
}

TEST(SamplerStep, SgldWithoutNoiseReproducesTheGoldenNumbers) {
  StepRule rule = GoldenRule(Algorithm::kSgld);
  rule.noise_scale = 0;
  ExpectDigits(ThreeSteps<double>(rule), {0.478861661694, -1.244481985658, 1.677896483600});
}

TEST(SamplerStep, SgldInABoxWithAFrozenElementReproducesTheGoldenNumbers) {
  StepRule rule = GoldenRule(Algorithm::kSgld);
  rule.box = 0.02;
  const std::vector<double> w = ThreeSteps<double>(rule, 2);
  ExpectDigits(w, {0.520000000000, -1.243547221274, 2.000000000000});
  EXPECT_EQ(w[2], 2.0);
}

TEST(SamplerStep, RmspropReproducesTheGoldenNumbers) {
  ExpectDigits(ThreeSteps<double>(GoldenRule(Algorithm::kRmspropSgld)),
               {0.519323070283, -1.223172694728, 1.677575990651});
}

TEST(SamplerStep, RmspropWithoutNoiseReproducesTheGoldenNumbers) {
  StepRule rule = GoldenRule(Algorithm::kRmspropSgld);
  rule.noise_scale = 0;
  ExpectDigits(ThreeSteps<double>(rule), {0.409793630138, -1.218987303256, 1.709637320172});
}

TEST(SamplerStep, FloatAgreesWithDouble) {
  for (Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    const std::vector<float> w = ThreeSteps<float>(GoldenRule(algorithm));
    const std::vector<double> want = ThreeSteps<double>(GoldenRule(algorithm));
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(w[i], want[i], 1e-6);
  }
}

TEST(SamplerStep, NotFiniteWeightsAreNoticed) {
  const std::vector<float> anchor(40, 1.0f), noise(40, 0.0f);
  for (float fault :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (bool boxed : {false, true}) {
      std::vector<float> w = anchor, v(40, 0.0f), gradient(40, 0.0f);
      gradient[33] = fault;
      StepRule rule = GoldenRule(Algorithm::kSgld);
      if (boxed) rule.box = 0.5;
      const bool finite =
          SamplerStep<float>(rule, gradient, anchor, noise, absl::MakeSpan(w), absl::MakeSpan(v));
      EXPECT_EQ(
          finite,
          boxed && std::isinf(fault));  // the box holds an infinite step, and never hides a NaN
    }
  }
}

TEST(SamplerStepWithNoise, EqualsAStepOnTheSameNoiseForAnyCut) {
  const size_t n = 5000;
  const int64_t first = 6;
  const RandomBlocks stream(9, 2, 4, RandomStream::kNoise);
  std::vector<float> noise(n), gradient(n), anchor(n);
  FillGaussianNoise(stream, first, absl::MakeSpan(noise));
  for (size_t i = 0; i < n; ++i)
    gradient[i] = 0.01f * static_cast<float>(i % 13), anchor[i] = 0.001f * static_cast<float>(i);
  for (Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    const StepRule rule = GoldenRule(algorithm);
    std::vector<float> want = anchor, want_v(n, 0.5f), w = anchor, v(n, 0.5f);
    ASSERT_TRUE(SamplerStep<float>(rule, gradient, anchor, noise, absl::MakeSpan(want),
                                   absl::MakeSpan(want_v)));
    for (size_t begin = 0; begin < n;) {
      const size_t length = std::min<size_t>(n - begin, 1 + 377 * (begin % 5));
      ASSERT_TRUE(SamplerStepWithNoise(rule, stream, first + static_cast<int64_t>(begin),
                                       absl::MakeConstSpan(gradient).subspan(begin, length),
                                       absl::MakeConstSpan(anchor).subspan(begin, length),
                                       absl::MakeSpan(w).subspan(begin, length),
                                       absl::MakeSpan(v).subspan(begin, length)));
      begin += length;
    }
    EXPECT_EQ(w, want);
    EXPECT_EQ(v, want_v);
  }
}

}  // namespace
}  // namespace bif::engine
