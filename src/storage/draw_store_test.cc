#include "src/storage/draw_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "src/base/digest.h"
#include "src/storage/draw_file.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

std::vector<EncodedDraw> Draws(size_t count, size_t bytes) {
  std::vector<EncodedDraw> draws(count);
  for (size_t i = 0; i < count; ++i) {
    draws[i].codec = static_cast<uint8_t>(i + 1);
    draws[i].elements = bytes / 2;
    draws[i].payload.resize(bytes + i);  // not a multiple of the padding
    for (size_t b = 0; b < draws[i].payload.size(); ++b)
      draws[i].payload[b] = static_cast<char>(i * 7 + b);
  }
  return draws;
}

DrawStore::State SomeState() {
  DrawStore::State state;
  state.step = 4000;
  state.weights.resize(1001);
  std::iota(state.weights.begin(), state.weights.end(), 0.5f);
  state.second_moments.resize(1001);
  std::iota(state.second_moments.begin(), state.second_moments.end(), -3.25f);
  return state;
}

// Makes files last: the catalog names them.
void CommitPosterior(Store& store, const std::vector<pb::DrawRecord>& draws,
                     const pb::FileRecord* state = nullptr) {
  WriteSet writes;
  pb::PosteriorRecord posterior;
  posterior.set_number(9);
  if (state != nullptr) *posterior.add_chains()->add_states() = *state;
  writes.Put(PosteriorKey("p"), posterior);
  for (size_t i = 0; i < draws.size(); ++i)
    writes.Put(DrawKey(9, 1, static_cast<uint32_t>(i)), draws[i]);
  Must(store.catalog().Commit(writes));
}

TEST(DrawStore, DrawsComeBackAsTheyWere) {
  TestDirectory directory;
  const std::vector<EncodedDraw> draws = Draws(3, 1000);
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, draws));
  CommitPosterior(directory.store(), records);
  directory.CrashAndReopen();
  for (size_t i = 0; i < draws.size(); ++i) {
    const EncodedDraw read = Must(directory.store().draws().ReadDraw(9, records[i]));
    EXPECT_EQ(read.codec, draws[i].codec);
    EXPECT_EQ(read.elements, draws[i].elements);
    EXPECT_EQ(read.payload, draws[i].payload);
  }
  EXPECT_EQ(Must(directory.store().draws().DiskBytes(9)),
            static_cast<int64_t>(records[0].file().bytes()));
}

TEST(DrawStore, RecordNamesAFileWhoseChecksumCanBeRecomputed) {
  TestDirectory directory;
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, Draws(3, 1000)));
  const std::string path = directory.Files("draws/9", ".draws").at(0);
  EXPECT_EQ(Checksum(Must(ReadFile(path))), records[0].file().checksum());
}

TEST(DrawStore, StateComesBackBitByBit) {
  TestDirectory directory;
  for (const bool with_moments : {true, false}) {
    DrawStore::State state = SomeState();
    if (!with_moments) state.second_moments.clear();
    const pb::FileRecord record = Must(directory.store().draws().WriteState(9, 1, state));
    const DrawStore::State read = Must(directory.store().draws().ReadState(9, record));
    EXPECT_EQ(read.step, state.step);
    EXPECT_EQ(read.weights, state.weights);
    EXPECT_EQ(read.second_moments, state.second_moments);
  }
}

TEST(DrawStore, EveryFlippedBitOfADrawIsFoundAndNamesTheFile) {
  TestDirectory directory;
  const std::vector<EncodedDraw> draws = Draws(2, 64);
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, draws));
  const std::string path = directory.Files("draws/9", ".draws").at(0);
  const int64_t begin = static_cast<int64_t>(records[1].offset());
  for (int64_t byte = begin; byte < begin + static_cast<int64_t>(records[1].bytes()); ++byte) {
    FlipBit(path, byte);
    const absl::Status read = directory.store().draws().ReadDraw(9, records[1]).status();
    ASSERT_EQ(read.code(), absl::StatusCode::kDataLoss) << "byte " << byte;
    ASSERT_THAT(std::string(read.message()), HasSubstr(records[1].file().name()));
    ASSERT_TRUE(directory.store().draws().ReadDraw(9, records[0]).ok()) << "the others stay good";
    FlipBit(path, byte);
  }
  EXPECT_TRUE(directory.store().draws().ReadDraw(9, records[1]).ok());
}

TEST(DrawStore, FlippedBitOfAStateIsDataLoss) {
  TestDirectory directory;
  const pb::FileRecord record = Must(directory.store().draws().WriteState(9, 1, SomeState()));
  const std::string path = directory.Files("draws/9", ".state").at(0);
  for (const int64_t byte : {0, 20, 63, 64, 4000, 4100, 4160, 8000}) {
    FlipBit(path, byte);
    EXPECT_EQ(directory.store().draws().ReadState(9, record).status().code(),
              absl::StatusCode::kDataLoss)
        << "byte " << byte;
    FlipBit(path, byte);
  }
  EXPECT_TRUE(directory.store().draws().ReadState(9, record).ok());
}

TEST(DrawStore, TornOrMissingFileIsDataLoss) {
  TestDirectory directory;
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, Draws(2, 1000)));
  const pb::FileRecord state = Must(directory.store().draws().WriteState(9, 1, SomeState()));
  for (const std::string& path : directory.Files("draws/9", "")) {
    CutFile(path, Must(FileSize(path)) - 100);
  }
  EXPECT_EQ(directory.store().draws().ReadDraw(9, records[1]).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(directory.store().draws().ReadState(9, state).status().code(),
            absl::StatusCode::kDataLoss);
  Must(directory.store().draws().DeleteFile(9, records[0].file().name()));
  EXPECT_EQ(directory.store().draws().ReadDraw(9, records[0]).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(DrawStore, RecordThatLeadsAstrayIsDataLoss) {
  TestDirectory directory;
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, Draws(2, 100)));
  pb::DrawRecord record = records[0];
  record.mutable_file()->set_name("../../LOCK");
  EXPECT_EQ(directory.store().draws().ReadDraw(9, record).status().code(),
            absl::StatusCode::kDataLoss);
  record = records[0];
  record.set_bytes(~uint64_t{0});
  EXPECT_EQ(directory.store().draws().ReadDraw(9, record).status().code(),
            absl::StatusCode::kDataLoss);
  record = records[0];
  record.set_offset(~uint64_t{0} - 10);
  EXPECT_EQ(directory.store().draws().ReadDraw(9, record).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(directory.store().draws().DeleteFile(9, "../../LOCK").code(),
            absl::StatusCode::kDataLoss);
}

TEST(DrawStore, LeftoverOfAFailedCommitIsReplaced) {
  TestDirectory directory;
  Must(directory.store().draws().WriteDraws(9, 1, 0, Draws(2, 100)));
  const std::vector<EncodedDraw> again = Draws(2, 300);
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, again));
  EXPECT_EQ(Must(directory.store().draws().ReadDraw(9, records[1])).payload, again[1].payload);
}

TEST(DrawStore, FileThatTheCatalogNamesIsNeverReplaced) {
  TestDirectory directory;
  const auto records = Must(directory.store().draws().WriteDraws(9, 1, 0, Draws(2, 100)));
  const pb::FileRecord state = Must(directory.store().draws().WriteState(9, 1, SomeState()));
  CommitPosterior(directory.store(), records, &state);
  EXPECT_EQ(directory.store().draws().WriteDraws(9, 1, 0, Draws(2, 300)).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(directory.store().draws().WriteState(9, 1, SomeState()).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(directory.store().draws().ReadDraw(9, records[0]).ok());
  EXPECT_TRUE(directory.Files("tmp", "").empty());
}

TEST(DrawStore, DeletingAPosteriorRemovesItsFiles) {
  TestDirectory directory;
  Must(directory.store().draws().WriteDraws(9, 1, 0, Draws(2, 100)));
  Must(directory.store().draws().WriteDraws(10, 1, 0, Draws(2, 100)));
  for (int i = 0; i < 2; ++i) Must(directory.store().draws().DeletePosterior(9));
  EXPECT_EQ(Must(directory.store().draws().DiskBytes(9)), 0);
  EXPECT_GT(Must(directory.store().draws().DiskBytes(10)), 0);
}

}  // namespace
}  // namespace bif::storage
