#include "src/storage/trace_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "src/base/half.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

const TraceArray kArray = {5, 1, 2};

// What the cell must hold; different in every cell and chain.
float Cell(uint32_t chain, uint32_t slot, uint32_t draw) {
  return static_cast<float>(chain) * 0.125f + static_cast<float>(slot) +
         static_cast<float>(draw) / 1024.0f;
}

absl::Status Write(Store& store, uint32_t chain, uint32_t first_slot, uint32_t slots,
                   uint32_t first_draw, uint32_t draws, const TraceArray& array = kArray) {
  std::vector<float> values;
  for (uint32_t d = 0; d < draws; ++d) {
    for (uint32_t s = 0; s < slots; ++s)
      values.push_back(Cell(chain, first_slot + s, first_draw + d));
  }
  return store.traces().Write(array, chain, first_slot, slots, first_draw, draws, values);
}

// Reads into rows with room on both sides, and checks cells and room.
void ExpectTraces(Store& store, uint32_t chain, uint32_t first_slot, uint32_t slots, uint32_t draws,
                  const TraceArray& array = kArray) {
  const int64_t stride = draws + 5, column = 3;
  std::vector<float> values(static_cast<size_t>(slots) * stride, -1.0f);
  const absl::Status read = store.traces().Read(array, chain, first_slot, slots, draws, stride,
                                                column, absl::MakeSpan(values));
  ASSERT_TRUE(read.ok()) << read;
  for (uint32_t s = 0; s < slots; ++s) {
    for (int64_t c = 0; c < stride; ++c) {
      const bool inside = c >= column && c < column + draws;
      const float expected =
          inside ? Cell(chain, first_slot + s, static_cast<uint32_t>(c - column)) : -1.0f;
      ASSERT_EQ(values[s * stride + c], expected) << "slot " << first_slot + s << " column " << c;
    }
  }
}

absl::Status ReadStatus(Store& store, uint32_t first_slot, uint32_t slots, uint32_t draws) {
  std::vector<float> values(size_t{slots} * draws);
  return store.traces().Read(kArray, 0, first_slot, slots, draws, draws, 0, absl::MakeSpan(values));
}

// The sweep at start-up leaves the tiles of posteriors that exist.
void CommitPosterior(Store& store) {
  WriteSet writes;
  pb::PosteriorRecord posterior;
  posterior.set_number(kArray.posterior);
  writes.Put(PosteriorKey("p"), posterior);
  Must(store.catalog().Commit(writes));
}

// Numbers that do not compress.
std::vector<float> Noise(size_t count) {
  std::mt19937 random(5);
  std::vector<float> values(count);
  for (float& value : values) {
    const uint32_t bits = static_cast<uint32_t>(random());
    std::memcpy(&value, &bits, sizeof(bits));
  }
  return values;
}

// Numbers as losses of tokens are, which compress a little.
std::vector<float> LogNormal(size_t count) {
  std::mt19937 random(6);
  std::vector<float> values(count);
  for (float& value : values) {
    float sum = -6;  // of twelve uniform numbers: nearly normal
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(random() >> 8) * 0x1p-24f;
    value = std::exp(sum);
  }
  return values;
}

TEST(TraceStore, GivesRowsOfWhatWasWrittenAsColumns) {
  TestDirectory directory;
  for (const uint32_t chain : {0u, 1u}) {
    for (uint32_t draw = 0; draw < 150; draw += 10) {
      Must(Write(directory.store(), chain, 0, 600, draw, 10));
    }
  }
  for (const uint32_t chain : {0u, 1u}) {
    ExpectTraces(directory.store(), chain, 0, 600, 150);
    ExpectTraces(directory.store(), chain, 255, 2, 150);
    ExpectTraces(directory.store(), chain, 599, 1, 65);
    ExpectTraces(directory.store(), chain, 300, 100, 1);
  }
}

TEST(TraceStore, HalvesComeBackRoundedAndTakeHalfTheSpace) {
  TestDirectory directory;
  CommitPosterior(directory.store());
  const std::vector<float> noise = LogNormal(20'000 * 60);
  TraceStore& traces = directory.store().traces();
  int64_t bytes[2];
  for (const TraceType type : {TraceType::kFloat32, TraceType::kFloat16}) {
    const int64_t before = directory.DiskBytes("db");
    const TraceArray array = {kArray.posterior, static_cast<uint32_t>(type), 2};
    Must(traces.Write(array, 0, 0, 20'000, 0, 60, noise, type));
    bytes[type == TraceType::kFloat16] = directory.DiskBytes("db") - before;
    std::vector<float> rows(noise.size());
    Must(traces.Read(array, 0, 0, 20'000, 60, 60, 0, absl::MakeSpan(rows)));
    for (size_t d = 0; d < 60; d += 7) {
      for (size_t s = 0; s < 20'000; s += 11) {
        const float value = noise[d * 20'000 + s];
        ASSERT_EQ(rows[s * 60 + d], type == TraceType::kFloat16 ? RoundToHalf(value) : value);
      }
    }
  }
  EXPECT_LT(bytes[1], 0.55 * static_cast<double>(bytes[0]));
}

TEST(TraceStore, SingleSlotsOfQueriesShareABlock) {
  TestDirectory directory;
  for (uint32_t slot = 0; slot < 300; slot += 1) {
    Must(Write(directory.store(), 0, slot, 1, 0, 70));
  }
  ExpectTraces(directory.store(), 0, 0, 300, 70);
  ExpectTraces(directory.store(), 0, 257, 3, 70);
}

TEST(TraceStore, LargeWritesGoAroundTheLogAndAreThereAfterACrash) {
  TestDirectory directory;
  Must(Write(directory.store(), 0, 0, 20'000, 0, 60));   // 4.8 MB
  Must(Write(directory.store(), 0, 0, 20'000, 60, 60));  // across a tile's border
  Must(Write(directory.store(), 0, 20'000, 10, 0, 120));
  CommitPosterior(directory.store());
  directory.CrashAndReopen();
  ExpectTraces(directory.store(), 0, 0, 20'010, 120);
}

TEST(TraceStore, ThreadsReadDisjointRanges) {
  TestDirectory directory;
  Must(Write(directory.store(), 0, 0, 2048, 0, 100));
  std::vector<float> values(2048 * 100);
  std::vector<std::thread> threads;
  std::vector<absl::Status> statuses(4);
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      statuses[t] =
          directory.store().traces().Read(kArray, 0, t * 512, 512, 100, 100, 0,
                                          absl::MakeSpan(values).subspan(t * 512 * 100, 512 * 100));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  for (uint32_t s = 0; s < 2048; ++s) {
    for (uint32_t d = 0; d < 100; ++d) ASSERT_EQ(values[s * 100 + d], Cell(0, s, d));
  }
}

TEST(TraceStore, AnyGapIsDataLossAndNamed) {
  TestDirectory directory;
  EXPECT_EQ(ReadStatus(directory.store(), 0, 1, 1).code(), absl::StatusCode::kDataLoss);
  Must(Write(directory.store(), 0, 0, 300, 0, 64));
  Must(Write(directory.store(), 0, 0, 290, 64, 6));
  EXPECT_TRUE(ReadStatus(directory.store(), 0, 300, 64).ok());
  EXPECT_TRUE(ReadStatus(directory.store(), 0, 290, 70).ok());
  const absl::Status gap = ReadStatus(directory.store(), 0, 300, 70);
  EXPECT_EQ(gap.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(gap.message()), HasSubstr("slot 290 draw 64"));
  EXPECT_EQ(ReadStatus(directory.store(), 0, 290, 71).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadStatus(directory.store(), 299, 2, 1).code(), absl::StatusCode::kDataLoss);
}

TEST(TraceStore, LeftoversOfAnotherCutNeverShineThrough) {
  TestDirectory directory;
  std::mt19937 random(11);
  for (uint64_t round = 0; round < 30; ++round) {
    const TraceArray array = {100 + round, 1, 1};
    // An uncommitted write of another shape, with other values, as a crash leaves it.
    const uint32_t old_slot = random() % 300, old_draw = random() % 100;
    const uint32_t old_slots = 1 + random() % 300, old_draws = 1 + random() % 100;
    const std::vector<float> wrong(size_t{old_slots} * old_draws, -7.0f);
    Must(directory.store().traces().Write(array, 0, old_slot, old_slots, old_draw, old_draws,
                                          wrong));
    for (uint32_t draw = 0; draw < 200; draw += 50) {
      Must(Write(directory.store(), 0, 0, 600, draw, 50, array));
    }
    SCOPED_TRACE(absl::StrCat("leftover at slot ", old_slot, " + ", old_slots, ", draw ", old_draw,
                              " + ", old_draws));
    ExpectTraces(directory.store(), 0, 0, 600, 200, array);
  }
}

TEST(TraceStore, RewritingARangeIsHarmless) {
  TestDirectory directory;
  Must(Write(directory.store(), 0, 10, 300, 0, 100));
  Must(Write(directory.store(), 0, 10, 300, 0, 100));
  ExpectTraces(directory.store(), 0, 10, 300, 100);
}

TEST(TraceStore, ArraysDatasetsAndChainsAreApart) {
  TestDirectory directory;
  Must(Write(directory.store(), 0, 0, 10, 0, 10));
  for (const TraceArray& other : {TraceArray{6, 1, 2}, {5, 2, 2}, {5, 1, 3}, {4, 1, 2}}) {
    const std::vector<float> wrong(100, -7.0f);
    Must(directory.store().traces().Write(other, 0, 0, 10, 0, 10, wrong));
  }
  Must(Write(directory.store(), 1, 0, 10, 0, 10));
  ExpectTraces(directory.store(), 0, 0, 10, 10);
  ExpectTraces(directory.store(), 1, 0, 10, 10);
}

TEST(TraceStore, ImpossibleRangesAreRefused) {
  TestDirectory directory;
  std::vector<float> values(100);
  TraceStore& traces = directory.store().traces();
  EXPECT_EQ(traces.Write(kArray, 0, 0, 10, 0, 11, values).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(traces.Write(kArray, 1 << 16, 0, 10, 0, 10, values).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(traces.Write(kArray, 0, 0xfffffffa, 10, 0, 10, values).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(traces.Read(kArray, 0, 0, 10, 10, 9, 0, absl::MakeSpan(values)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(traces.Read(kArray, 0, 0, 10, 10, 10, 1, absl::MakeSpan(values)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(traces.Read(kArray, 0, 0, 11, 10, 10, 0, absl::MakeSpan(values)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(TraceStore, FlippedBitOnDiskIsDataLossAndNamesTheTraces) {
  TestDirectory directory;
  CommitPosterior(directory.store());
  Must(directory.store().traces().Write(kArray, 0, 0, 20'000, 0, 60, Noise(1'200'000)));
  directory.Close();
  std::string largest;
  for (const std::string& path : directory.Files("db", ".sst")) {
    if (largest.empty() || Must(FileSize(path)) > Must(FileSize(largest))) largest = path;
  }
  FlipBit(largest, Must(FileSize(largest)) / 2);
  directory.Open();
  const absl::Status read = ReadStatus(directory.store(), 0, 20'000, 60);
  EXPECT_EQ(read.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(read.message()), HasSubstr("posterior 5"));
  EXPECT_TRUE(ReadStatus(directory.store(), 0, 256, 60).ok()) << "the rest can be read";
}

TEST(TraceStore, DamagedFirstTileDoesNotKeepTheStoreFromOpening) {
  TestDirectory directory;
  CommitPosterior(directory.store());
  Must(directory.store().traces().Write(kArray, 0, 0, 20'000, 0, 60, Noise(1'200'000)));
  directory.Close();
  for (const std::string& path : directory.Files("db", ".sst")) {
    if (Must(FileSize(path)) > 1'000'000) FlipBit(path, 100);
  }
  directory.Open();
  EXPECT_EQ(ReadStatus(directory.store(), 0, 1, 1).code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(ReadStatus(directory.store(), 1024, 256, 60).ok());
}

TEST(TraceStore, DeletingAPosteriorGivesItsDiskBackAndLeavesTheOthers) {
  TestDirectory directory;
  const std::vector<float> noise = Noise(1'200'000);  // 4.8 MB
  TraceStore& traces = directory.store().traces();
  Must(traces.Write({4, 1, 2}, 0, 0, 20'000, 0, 60, noise));
  Must(Write(directory.store(), 0, 0, 300, 0, 64));
  Must(traces.Write({6, 1, 2}, 0, 0, 20'000, 0, 60, noise));
  EXPECT_GT(directory.DiskBytes("db"), 9'600'000);
  for (const uint64_t posterior : {4, 6, 6}) Must(traces.DeletePosterior(posterior));
  EXPECT_LT(directory.DiskBytes("db"), 500'000);
  ExpectTraces(directory.store(), 0, 0, 300, 64);
  std::vector<float> values(1);
  EXPECT_EQ(traces.Read({4, 1, 2}, 0, 0, 1, 1, 1, 0, absl::MakeSpan(values)).code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace bif::storage
