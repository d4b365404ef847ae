#include "src/jobs/trace_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/jobs/trace_arrays.h"
#include "src/storage/store.h"
#include "tests/support/temp_dir.h"

namespace bif::jobs {
namespace {

constexpr uint32_t kArray = 1;
constexpr uint32_t kDataset = 9;

class TraceIndexTest : public ::testing::Test {
 protected:
  TraceIndexTest() {
    storage::StoreOptions options;
    options.root = directory_ / "store";
    options.min_free_disk_bytes = 0;
    auto store = storage::OpenStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Keep(TraceIndex& index, const std::vector<TracedRow>& rows) {
    storage::WriteSet writes;
    index.Prepare(kArray, kDataset, rows, writes);
    ASSERT_TRUE(store_->catalog().Commit(writes).ok());
    index.Apply(kArray, kDataset, rows);
  }
  // As (slot, ordinal, draws).
  static std::vector<std::vector<uint32_t>> RowsOf(const TraceIndex& index, uint32_t draws) {
    std::vector<std::vector<uint32_t>> rows;
    for (const TracedRow& row : index.RowsCovering(kArray, kDataset, draws)) {
      rows.push_back({row.slot, row.ordinal, row.draws});
    }
    return rows;
  }
  // What memory says must be what the disk says.
  void ExpectDiskAgrees(const TraceIndex& index) {
    TraceIndex read(5);
    ASSERT_TRUE(read.Reload(store_->catalog(), 1).ok());
    EXPECT_EQ(RowsOf(read, 1), RowsOf(index, 1));
    EXPECT_EQ(read.next_slot(kArray, kDataset), index.next_slot(kArray, kDataset));
  }

  testing::TempDir directory_;
  std::unique_ptr<storage::Store> store_;
};

TEST_F(TraceIndexTest, KnowsNothingAtFirst) {
  TraceIndex index(5);
  ASSERT_TRUE(index.Reload(store_->catalog(), 10).ok());
  EXPECT_EQ(index.loaded_draws(), 10u);
  EXPECT_EQ(index.next_slot(kArray, kDataset), 0u);
  EXPECT_EQ(index.Find(kArray, kDataset, {3})[0].draws, 0u);
}

TEST_F(TraceIndexTest, NewRowsAreFoundByTheirOrdinals) {
  TraceIndex index(5);
  Keep(index, {{0, 40, 100}, {1, 7, 100}});
  Keep(index, {{2, 8, 100}});
  EXPECT_EQ(index.Find(kArray, kDataset, {7})[0].slot, 1u);
  EXPECT_EQ(index.Find(kArray, kDataset, {8})[0].draws, 100u);
  EXPECT_EQ(index.Find(kArray, kDataset + 1, {7})[0].draws, 0u);
  EXPECT_EQ(index.next_slot(kArray, kDataset), 3u);
  ExpectDiskAgrees(index);
}

TEST_F(TraceIndexTest, RowsWithMoreDrawsThanBeforeSplitTheirExtent) {
  TraceIndex index(5);
  Keep(index, {{0, 10, 100}, {1, 11, 100}, {2, 12, 100}, {3, 13, 100}});
  Keep(index, {{1, 11, 150}, {2, 12, 150}, {4, 14, 150}});
  EXPECT_THAT(RowsOf(index, 150), ::testing::ElementsAre(::testing::ElementsAre(1, 11, 150),
                                                         ::testing::ElementsAre(2, 12, 150),
                                                         ::testing::ElementsAre(4, 14, 150)));
  EXPECT_EQ(RowsOf(index, 100).size(), 5u);
  ExpectDiskAgrees(index);
  Keep(index, {{0, 10, 150}, {3, 13, 150}});
  EXPECT_EQ(RowsOf(index, 150).size(), 5u);
  ExpectDiskAgrees(index);
}

TEST_F(TraceIndexTest, RunsAreConsecutiveSlotsWithEnoughDraws) {
  TraceIndex index(5);
  Keep(index, {{0, 10, 5}, {1, 11, 5}, {2, 12, 9}, {3, 13, 5}});
  const auto runs = index.RunsCovering(kArray, kDataset, 0, 256, 5);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].slots, 4u);
  const auto covered = index.RunsCovering(kArray, kDataset, 1, 256, 9);
  ASSERT_EQ(covered.size(), 1u);
  EXPECT_EQ(covered[0].first_slot, 2u);
  EXPECT_TRUE(index.RunsCovering(kArray, kDataset, 256, 256, 1).empty());
}

TEST_F(TraceIndexTest, EveryChangeRaisesTheVersion) {
  TraceIndex index(5);
  Keep(index, {{0, 10, 5}});
  const uint64_t before = index.version(kArray, kDataset);
  Keep(index, {{1, 11, 5}});
  const uint64_t after = index.version(kArray, kDataset);
  EXPECT_GT(after, before);
  ASSERT_TRUE(index.Reload(store_->catalog(), 6).ok());
  EXPECT_GT(index.version(kArray, kDataset), after);
}

TEST_F(TraceIndexTest, TokensTakeConsecutiveSlotsOfTheirSample) {
  TraceIndex index(5);
  const auto keep = [&](const std::vector<TracedRow>& rows) {
    storage::WriteSet writes;
    index.Prepare(kTokenLossArray, kDataset, rows, writes);
    ASSERT_TRUE(store_->catalog().Commit(writes).ok());
    index.Apply(kTokenLossArray, kDataset, rows);
  };
  keep({{0, 40, 100, 12}, {12, 7, 100, 3}});
  keep({{15, 8, 100, 1}, {16, 9, 100, 5}});
  keep({{12, 7, 150, 3}});  // grows alone: its extent is cut
  TraceIndex read(5);
  ASSERT_TRUE(read.Reload(store_->catalog(), 1).ok());
  for (const TraceIndex* known : {&index, &read}) {
    EXPECT_EQ(known->next_slot(kTokenLossArray, kDataset), 21u);
    EXPECT_EQ(known->next_slot(kArray, kDataset), 0u);
    const auto rows = known->Find(kTokenLossArray, kDataset, {7, 9, 40, 41});
    EXPECT_EQ(rows[0].slot, 12u);
    EXPECT_EQ(rows[0].slots, 3u);
    EXPECT_EQ(rows[0].draws, 150u);
    EXPECT_EQ(rows[1].slot, 16u);
    EXPECT_EQ(rows[1].slots, 5u);
    EXPECT_EQ(rows[2].draws, 100u);
    EXPECT_EQ(rows[3].draws, 0u);
  }
  EXPECT_TRUE(store_->catalog().ScanBytes(storage::TraceExtentPrefix(5), "", 0)->empty());
}

TEST_F(TraceIndexTest, ExtentsThatContradictEachOtherAreDamage) {
  const auto extent = [](uint32_t first_slot, const std::vector<uint32_t>& ordinals) {
    storage::pb::TraceExtent made;
    made.set_first_slot(first_slot);
    made.set_slots(static_cast<uint32_t>(ordinals.size()));
    made.mutable_ordinals()->Assign(ordinals.begin(), ordinals.end());
    made.set_draws(4);
    return made;
  };
  for (const auto& second : {extent(1, {12, 13}), extent(2, {11, 13}), extent(2, {12, 12})}) {
    storage::WriteSet writes;
    writes.Put(storage::TraceExtentKey(5, kArray, kDataset, 0), extent(0, {10, 11}));
    writes.Put(storage::TraceExtentKey(5, kArray, kDataset, 2), second);
    ASSERT_TRUE(store_->catalog().Commit(writes).ok());
    EXPECT_EQ(TraceIndex(5).Reload(store_->catalog(), 4).code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(TraceIndexTest, AnExtentWithoutOrdinalsCountsThemLikeSlots) {
  storage::pb::TraceExtent extent;
  extent.set_slots(3);
  extent.set_draws(4);
  storage::WriteSet writes;
  writes.Put(storage::TraceExtentKey(5, kArray, kDataset, 0), extent);
  ASSERT_TRUE(store_->catalog().Commit(writes).ok());
  TraceIndex index(5);
  ASSERT_TRUE(index.Reload(store_->catalog(), 4).ok());
  EXPECT_EQ(index.Find(kArray, kDataset, {2})[0].slot, 2u);
  EXPECT_EQ(index.Find(kArray, kDataset, {3})[0].draws, 0u);
}

}  // namespace
}  // namespace bif::jobs
