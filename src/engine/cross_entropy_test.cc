#include "src/engine/cross_entropy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/engine/gaussian_noise.h"

namespace bif::engine {
namespace {

struct Batch {
  int64_t classes;
  std::vector<float> logits;
  std::vector<int64_t> labels;
};

Batch RandomBatch(int64_t rows, int64_t classes, float spread) {
  Batch batch{classes, std::vector<float>(static_cast<size_t>(rows * classes)), {}};
  FillGaussianNoise(RandomBlocks(7, 0, 0, RandomStream::kNoise), 0, absl::MakeSpan(batch.logits));
  for (float& x : batch.logits) x *= spread;
  for (int64_t row = 0; row < rows; ++row) batch.labels.push_back(row * 7 % classes);
  return batch;
}

struct Found {
  std::vector<float> losses, gradients;
};

Found Compute(const Batch& batch, float scale = 1) {
  Found found{std::vector<float>(batch.labels.size()), std::vector<float>(batch.logits.size())};
  CrossEntropy(batch.logits.data(), batch.classes, batch.labels, scale,
               absl::MakeSpan(found.losses), absl::MakeSpan(found.gradients));
  return found;
}

TEST(CrossEntropy, LossesAndGradientsEqualTheirFormulasInDouble) {
  for (const float spread : {0.01f, 1.0f, 30.0f}) {
    for (const int64_t classes : {2, 10, 256}) {
      const Batch batch = RandomBatch(37, classes, spread);
      const Found found = Compute(batch, 0.25f);
      for (size_t row = 0; row < batch.labels.size(); ++row) {
        const float* x = batch.logits.data() + static_cast<int64_t>(row) * classes;
        const auto label = batch.labels[row];
        const double largest = *std::max_element(x, x + classes);
        double sum = 0;
        for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[c] - largest);
        const double loss = std::log(sum) + largest - x[label];
        EXPECT_NEAR(found.losses[row], loss, 3e-7 * std::max(1.0, loss));
        for (int64_t c = 0; c < classes; ++c) {
          const double want = std::exp(x[c] - largest) / sum - (c == label ? 1 : 0);
          EXPECT_NEAR(found.gradients[row * static_cast<size_t>(classes) + static_cast<size_t>(c)],
                      0.25 * want, 1e-7);
        }
      }
    }
  }
}

TEST(CrossEntropy, LossesNeedNoGradients) {
  const Batch batch = RandomBatch(20, 10, 1);
  std::vector<float> losses(20);
  CrossEntropy(batch.logits.data(), 10, batch.labels, 1, absl::MakeSpan(losses), {});
  EXPECT_EQ(losses, Compute(batch).losses);
}

TEST(CrossEntropy, BitsDoNotDependOnTheCut) {
  const Batch whole = RandomBatch(33, 10, 3);
  const Found found = Compute(whole);
  for (size_t row = 0; row < 33; ++row) {
    const auto begin = whole.logits.begin() + static_cast<ptrdiff_t>(10 * row);
    const Found alone = Compute({10, {begin, begin + 10}, {whole.labels[row]}});
    EXPECT_EQ(alone.losses[0], found.losses[row]);
    for (size_t c = 0; c < 10; ++c) EXPECT_EQ(alone.gradients[c], found.gradients[10 * row + c]);
  }
}

TEST(CrossEntropy, LogitsFarApartDoNotOverflow) {
  const Found found = Compute({3, {1e30f, 0, -1e30f, 1e4f, 0, -1e4f}, {0, 1}});
  EXPECT_EQ(found.losses[0], 0);
  EXPECT_EQ(found.losses[1], 1e4f);
  EXPECT_EQ(found.gradients[0], 0);
  EXPECT_EQ(found.gradients[3], 1);
  EXPECT_EQ(found.gradients[4], -1);
}

TEST(CrossEntropy, WhatIsNotFiniteShowsInTheLossOfItsRowOnly) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, infinity}) {
    for (size_t c = 0; c < 4; ++c) {
      Batch batch = RandomBatch(3, 4, 1);
      batch.logits[4 + c] = bad;
      const Found found = Compute(batch);
      EXPECT_TRUE(std::isfinite(found.losses[0]));
      EXPECT_FALSE(std::isfinite(found.losses[1])) << bad << " in class " << c;
      EXPECT_TRUE(std::isfinite(found.losses[2]));
    }
  }
}

}  // namespace
}  // namespace bif::engine
