#include "src/engine/batch_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace bif::engine {
namespace {

SamplerSettings Settings(BatchOrder order, uint32_t batch_size) {
  SamplerSettings settings;
  settings.batch_order = order;
  settings.batch_size = batch_size;
  settings.seed = 11;
  return settings;
}

std::vector<uint32_t> Copy(absl::Span<const uint32_t> batch) {
  return {batch.begin(), batch.end()};
}

TEST(BatchOrder, AnEpochHoldsEveryRowOnceAndDropsTheIncompleteBatch) {
  BatchOrderOf order(Settings(BatchOrder::kShuffledEpochs, 10), 37, 0);
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<uint32_t> seen;
    for (uint64_t step = 3 * epoch; step < 3 * epoch + 3; ++step) {
      for (uint32_t row : order.Batch(step)) {
        EXPECT_LT(row, 37u);
        seen.insert(row);
      }
    }
    EXPECT_EQ(seen.size(), 30u);
  }
}

TEST(BatchOrder, EpochsChainsAndSeedsShuffleDifferently) {
  SamplerSettings settings = Settings(BatchOrder::kShuffledEpochs, 100);
  BatchOrderOf first(settings, 100, 0), other_chain(settings, 100, 1);
  settings.seed = 12;
  BatchOrderOf other_seed(settings, 100, 0);
  const std::vector<uint32_t> batch = Copy(first.Batch(0));
  EXPECT_NE(batch, Copy(first.Batch(1)));
  EXPECT_NE(batch, Copy(other_chain.Batch(0)));
  EXPECT_NE(batch, Copy(other_seed.Batch(0)));
}

TEST(BatchOrder, AStepNeedsNoneBeforeIt) {
  for (BatchOrder kind : {BatchOrder::kShuffledEpochs, BatchOrder::kWithReplacement}) {
    BatchOrderOf walked(Settings(kind, 7), 50, 3);
    for (uint64_t step = 0; step < 40; ++step) {
      BatchOrderOf jumped(Settings(kind, 7), 50, 3);
      EXPECT_EQ(Copy(walked.Batch(step)), Copy(jumped.Batch(step))) << step;
    }
  }
}

// Each of 24 orders of 4 rows is equally likely: chi-square with 23 degrees of freedom, 0.1 %
// bound 49.7.
TEST(BatchOrder, ShufflesAreUniform) {
  BatchOrderOf order(Settings(BatchOrder::kShuffledEpochs, 4), 4, 0);
  std::map<std::vector<uint32_t>, int> counts;
  const int epochs = 24000;
  for (int epoch = 0; epoch < epochs; ++epoch)
    ++counts[Copy(order.Batch(static_cast<uint64_t>(epoch)))];
  ASSERT_EQ(counts.size(), 24u);
  double chi_square = 0;
  for (const auto& [rows, count] : counts) chi_square += std::pow(count - 1000.0, 2) / 1000;
  EXPECT_LT(chi_square, 49.7);
}

// 9 degrees of freedom, 0.1 % bound 27.9.
TEST(BatchOrder, ReplacementIsUniform) {
  BatchOrderOf order(Settings(BatchOrder::kWithReplacement, 10), 10, 0);
  std::vector<int> counts(10);
  for (uint64_t step = 0; step < 2000; ++step)
    for (uint32_t row : order.Batch(step)) ++counts.at(row);
  double chi_square = 0;
  for (int count : counts) chi_square += std::pow(count - 2000.0, 2) / 2000;
  EXPECT_LT(chi_square, 27.9);
}

TEST(BatchOrder, ReplayRepeatsItsList) {
  SamplerSettings settings = Settings(BatchOrder::kReplay, 256);
  settings.replay_batches = {{3, 1}, {2, 2}, {0, 4}};
  BatchOrderOf order(settings, 5, 9);
  EXPECT_EQ(order.batch_rows(), 2u);
  EXPECT_THAT(order.Batch(0), testing::ElementsAre(3, 1));
  EXPECT_THAT(order.Batch(2), testing::ElementsAre(0, 4));
  EXPECT_THAT(order.Batch(4), testing::ElementsAre(2, 2));
}

}  // namespace
}  // namespace bif::engine
