// That deleting gives the disk back. The log's preallocation, which is the same at all times, does
// not count.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

constexpr uint32_t kSlots = 20'000;
constexpr uint32_t kDraws = 40;
constexpr TraceArray kLosses = {7, 1 << 16, 1};

class SpaceTest : public ::testing::Test {
 protected:
  // A posterior of some 10 MiB: tiles, large and small, draws and states.
  void WritePosterior() {
    Store& store = directory_.store();
    std::mt19937 random(5);
    std::vector<float> losses(size_t{kSlots} * kDraws);
    for (float& loss : losses) loss = static_cast<float>(random()) / 1e9f;
    Must(store.traces().Write(kLosses, 0, 0, kSlots, 0, kDraws, losses));
    for (uint32_t chain = 1; chain < 6; ++chain)  // below the size that goes around the log
      Must(store.traces().Write(kLosses, chain, 0, 10'000, 0, 40, {losses.data(), 400'000}));
    WriteSet writes;
    pb::PosteriorRecord record;
    record.set_number(kLosses.posterior);
    EncodedDraw draw;
    draw.payload.assign(1 << 20, 'x');
    const auto draws = Must(store.draws().WriteDraws(kLosses.posterior, 0, 0, {draw, draw}));
    for (uint32_t d = 0; d < 2; ++d) writes.Put(DrawKey(kLosses.posterior, 0, d), draws[d]);
    *record.add_chains()->add_states() =
        Must(store.draws().WriteState(kLosses.posterior, 0, {1, std::vector<float>(1 << 18), {}}));
    writes.Put(PosteriorKey("k"), record);
    Must(store.catalog().Commit(writes));
  }

  void DeletePosterior() {
    Store& store = directory_.store();
    WriteSet writes;
    writes.Delete(PosteriorKey("k"));
    writes.DeletePrefix(DrawPrefix(kLosses.posterior));
    Must(store.catalog().Commit(writes));
    Must(store.draws().DeletePosterior(kLosses.posterior));
    Must(store.traces().DeletePosterior(kLosses.posterior));
  }

  TestDirectory directory_;
};

TEST_F(SpaceTest, DeletingAPosteriorGivesItsSpaceBack) {
  const int64_t before = directory_.DiskBytes("");
  WritePosterior();
  const int64_t with = directory_.DiskBytes("");
  ASSERT_GT(with - before, 8 << 20);
  DeletePosterior();
  const int64_t after = directory_.DiskBytes("");
  RecordProperty("bytes_before", std::to_string(before));
  RecordProperty("bytes_with_posterior", std::to_string(with));
  RecordProperty("bytes_after_deletion", std::to_string(after));
  EXPECT_LT(after - before, (with - before) / 50) << before << " " << with << " " << after;
}

TEST_F(SpaceTest, TheNextStartFinishesADeletionThatWasCutOff) {
  directory_.Reopen();
  const int64_t before = directory_.DiskBytes("");
  WritePosterior();
  const int64_t with = directory_.DiskBytes("");
  WriteSet writes;  // the records are gone, and then the power is
  writes.Delete(PosteriorKey("k"));
  writes.DeletePrefix(DrawPrefix(kLosses.posterior));
  Must(directory_.store().catalog().Commit(writes));
  directory_.CrashAndReopen();
  EXPECT_LT(directory_.DiskBytes("") - before, (with - before) / 50);
}

}  // namespace
}  // namespace bif::storage
