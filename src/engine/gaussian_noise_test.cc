#include "src/engine/gaussian_noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numbers>
#include <vector>

namespace bif::engine {
namespace {

std::vector<float> Noise(uint64_t seed, uint32_t chain, uint64_t step, size_t count,
                         int64_t first = 0) {
  std::vector<float> out(count);
  FillGaussianNoise(RandomBlocks(seed, chain, step, RandomStream::kNoise), first,
                    absl::MakeSpan(out));
  return out;
}

double Correlation(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum / static_cast<double>(a.size());
}

TEST(GaussianNoise, IsBoxMullerOfPhilox) {
  const RandomBlocks stream(42, 3, 17, RandomStream::kNoise);
  const std::vector<float> out = Noise(42, 3, 17, 4000);
  for (uint32_t block = 0; block < 1000; ++block) {
    const PhiloxCounter w = stream(block);
    const auto want = [](uint32_t radius_word, uint32_t angle_word) {
      const double u = ((radius_word >> 1) + 0.5) * 0x1p-31;
      const double radius = std::sqrt(-2 * std::log(u));
      const double fraction = (angle_word & 0x3FFFFFFF) * 0x1p-30 - 0.5;
      const double angle = std::numbers::pi / 2 * ((angle_word >> 30) + fraction);
      return std::pair(radius * std::cos(angle), radius * std::sin(angle));
    };
    const auto [a, b] = want(w.c0, w.c1);
    const auto [c, d] = want(w.c2, w.c3);
    EXPECT_NEAR(out[4 * block], a, 2e-6);
    EXPECT_NEAR(out[4 * block + 1], b, 2e-6);
    EXPECT_NEAR(out[4 * block + 2], c, 2e-6);
    EXPECT_NEAR(out[4 * block + 3], d, 2e-6);
  }
}

// Stored posteriors rest on these bits: they may change only together with the version of the
// numerics.
TEST(GaussianNoise, BitsAreFixed) {
  uint32_t digest = 0;
  for (float x : Noise(7, 1, 123456789, 100000)) digest = digest * 31 + std::bit_cast<uint32_t>(x);
  EXPECT_EQ(digest, 2632198014u);
}

TEST(GaussianNoise, PiecesEqualTheWhole) {
  const std::vector<float> whole = Noise(1, 2, 3, 200);
  for (int64_t first = 0; first < 9; ++first) {
    for (size_t count : {0, 1, 2, 3, 4, 5, 7, 64, 101}) {
      const std::vector<float> want(whole.begin() + first,
                                    whole.begin() + first + static_cast<int64_t>(count));
      EXPECT_EQ(Noise(1, 2, 3, count, first), want) << first << " " << count;
    }
  }
}

TEST(GaussianNoise, MomentsAndTailsAreNormal) {
  const size_t n = 4'000'000;
  const std::vector<float> x = Noise(5, 0, 0, n);
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  double beyond2 = 0, beyond4 = 0, largest = 0;
  for (double v : x) {
    m1 += v;
    m2 += v * v;
    m3 += v * v * v;
    m4 += v * v * v * v;
    beyond2 += std::abs(v) > 2;
    beyond4 += std::abs(v) > 4;
    largest = std::max(largest, std::abs(v));
  }
  const double count = static_cast<double>(n);
  // Five standard errors of each moment of n standard normals.
  EXPECT_NEAR(m1 / count, 0, 5 / std::sqrt(count));
  EXPECT_NEAR(m2 / count, 1, 5 * std::sqrt(2 / count));
  EXPECT_NEAR(m3 / count, 0, 5 * std::sqrt(15 / count));
  EXPECT_NEAR(m4 / count, 3, 5 * std::sqrt(96 / count));
  EXPECT_NEAR(beyond2 / count, 0.0455003, 5 * std::sqrt(0.0455 / count));
  EXPECT_NEAR(beyond4 / count, 6.3342e-5, 5 * std::sqrt(6.3342e-5 / count));
  EXPECT_GT(largest, 4.8);
  EXPECT_LT(largest, 6.7);
}

TEST(GaussianNoise, NeighboursStepsChainsAndSeedsAreIndependent) {
  const size_t n = 1'000'000;
  const double bound = 5 / std::sqrt(static_cast<double>(n));
  const std::vector<float> x = Noise(5, 0, 0, n);
  for (int64_t lag : {1, 2, 3, 4})
    EXPECT_NEAR(Correlation(x, Noise(5, 0, 0, n, lag)), 0, bound) << lag;
  EXPECT_NEAR(Correlation(x, Noise(5, 0, 1, n)), 0, bound);
  EXPECT_NEAR(Correlation(x, Noise(5, 1, 0, n)), 0, bound);
  EXPECT_NEAR(Correlation(x, Noise(6, 0, 0, n)), 0, bound);
  // The two numbers of a pair share a radius: their squares must still be independent.
  double squares = 0;
  for (size_t i = 0; i < n; i += 2)
    squares += (double{x[i]} * x[i] - 1) * (double{x[i + 1]} * x[i + 1] - 1);
  EXPECT_NEAR(squares / (static_cast<double>(n) / 2), 0,
              5 * 2 / std::sqrt(static_cast<double>(n) / 2));
}

}  // namespace
}  // namespace bif::engine
