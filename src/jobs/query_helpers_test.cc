// The small parts that queries are made of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "src/jobs/candidates.h"
#include "src/jobs/lru_cache.h"
#include "src/jobs/parallel_for.h"
#include "src/jobs/trace_cache.h"
#include "src/jobs/worker_pool.h"

namespace bif::jobs {
namespace {

TEST(LruCache, DropsTheValuesUsedLongestAgoAboveItsBytes) {
  LruCache<std::string, int> cache(10);
  cache.Insert("a", 1, 4);
  cache.Insert("b", 2, 4);
  EXPECT_EQ(cache.Find("a"), 1);  // used again
  cache.Insert("c", 3, 4);
  EXPECT_EQ(cache.Find("b"), std::nullopt);
  EXPECT_EQ(cache.Find("a"), 1);
  EXPECT_EQ(cache.Find("c"), 3);
  EXPECT_EQ(cache.bytes(), 8);
}

TEST(LruCache, KeepsNothingAboveItsLimitAndReplacesEqualKeys) {
  LruCache<std::string, int> cache(10);
  cache.Insert("a", 1, 11);
  EXPECT_EQ(cache.Find("a"), std::nullopt);
  cache.Insert("a", 1, 6);
  cache.Insert("a", 2, 7);
  EXPECT_EQ(cache.Find("a"), 2);
  EXPECT_EQ(cache.bytes(), 7);
  cache.EraseIf([](const std::string& key) { return key == "a"; });
  EXPECT_EQ(cache.bytes(), 0);
}

TEST(ParallelFor, CallsEveryIndexOnce) {
  WorkerPool pool({});
  std::vector<std::atomic<int>> calls(1000);
  ASSERT_TRUE(ParallelFor(pool, 3, calls.size(), [&](int worker, size_t i) {
                EXPECT_LT(worker, 3);
                ++calls[i];
                return absl::OkStatus();
              }).ok());
  for (const auto& count : calls) EXPECT_EQ(count, 1);
}

TEST(ParallelFor, GivesTheErrorAndBeginsNothingAfterIt) {
  WorkerPool pool({});
  std::atomic<int> after{0};
  const absl::Status status = ParallelFor(pool, 1, 100, [&](int, size_t i) {
    if (i > 5) ++after;
    return i == 5 ? absl::DataLossError("five") : absl::OkStatus();
  });
  EXPECT_EQ(status.message(), "five");
  EXPECT_EQ(after, 0);
}

TEST(ParallelFor, NeedsNoFreeWorker) {
  WorkerPool pool({1, 16});
  absl::Status status;
  // On the pool's only worker: no helper can ever run.
  ASSERT_TRUE(pool.Submit([&] {
                    status = ParallelFor(pool, 4, 50, [](int worker, size_t) {
                      return worker == 0 ? absl::OkStatus() : absl::InternalError("a helper ran");
                    });
                  })
                  .ok());
  pool.Drain();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(DrawSelection, KeepsAPrefixOfEveryChain) {
  const DrawSelection selection(2, 4, {0, 2}, {});
  EXPECT_EQ(selection.kept(), 2u);
  EXPECT_FALSE(selection.all());
  const std::vector<float> row = {0, 1, 2, 3, 10, 11, 12, 13};
  std::vector<float> gathered(selection.stride());
  selection.Gather(row.data(), gathered.data());
  EXPECT_THAT(gathered, ::testing::ElementsAre(0, 1, 10, 11));
}

TEST(DrawSelection, AWindowThatGoesOnAtTheFrontIsGatheredInAscendingOrder) {
  const DrawSelection selection(2, 4, {3, 2}, {});
  const std::vector<float> row = {0, 1, 2, 3, 10, 11, 12, 13};
  std::vector<float> gathered(selection.stride());
  selection.Gather(row.data(), gathered.data());
  EXPECT_THAT(gathered, ::testing::ElementsAre(0, 3, 10, 13));
}

TEST(DrawSelection, ADrawThatOneChainLacksIsLeftOutOfAll) {
  const DrawSelection selection(2, 4, {0, 4}, {5});  // chain 1, draw 1
  const std::vector<float> row = {0, 1, 2, 3, 10, 11, 12, 13};
  std::vector<float> gathered(selection.stride());
  selection.Gather(row.data(), gathered.data());
  EXPECT_THAT(gathered, ::testing::ElementsAre(0, 2, 3, 10, 12, 13));
  EXPECT_TRUE(DrawSelection(2, 4, {0, 4}, {}).all());
}

TEST(MissingColumns, AreThoseWithANaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(MissingColumns({1, nan, 3, 4, 5, nan}, 1, 3, {0, 3}), ::testing::ElementsAre(1, 2));
  EXPECT_TRUE(MissingColumns({infinity, -infinity, 3}, 1, 3, {0, 3}).empty());
}

TEST(MissingColumns, OfAWindowThatGoesOnAtTheFront) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Two chains of four draws; the window is draws 3 and 0.
  EXPECT_THAT(MissingColumns({1, nan, nan, 4, nan, nan, nan, nan}, 2, 4, {3, 2}),
              ::testing::ElementsAre(4, 7));
}

TEST(MissingColumns, BehindThePrefixAreNone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Two rows of two chains of three draws.
  EXPECT_THAT(MissingColumns({1, 2, nan, 4, 5, nan, 1, 2, 3, 4, nan, nan}, 2, 3, {0, 2}),
              ::testing::ElementsAre(4));
}

TEST(Candidates, FallIntoBlocksOfSlots) {
  Candidates candidates;
  for (uint32_t slot : {3u, 255u, 256u, 1000u}) candidates.rows.push_back({slot, slot, 1});
  const auto blocks = BlocksOf(candidates);
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].end, 2u);
  EXPECT_EQ(blocks[1].number, 1u);
  EXPECT_EQ(blocks[2].begin, 3u);
}

}  // namespace
}  // namespace bif::jobs
