#include "src/storage/sample_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/storage/sample_block.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kDataset = 7;

// Row r of a dataset: an image whose bytes depend on r, and the label r.
SampleBatch Rows(int64_t first, int64_t rows, int64_t pixels = 12) {
  SampleBatch batch;
  batch.rows = rows;
  batch.columns.push_back({{"image", DType::kUint8, {pixels}}, {}});
  batch.columns.push_back({{"label", DType::kInt64, {}}, {}});
  for (int64_t row = first; row < first + rows; ++row) {
    for (int64_t p = 0; p < pixels; ++p) {
      batch.columns[0].data.push_back(static_cast<std::byte>(row * 31 + p));
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(&row);
    batch.columns[1].data.insert(batch.columns[1].data.end(), bytes, bytes + sizeof(row));
  }
  return batch;
}

std::vector<std::string> Ids(int64_t first, int64_t rows) {
  std::vector<std::string> ids;
  for (int64_t row = first; row < first + rows; ++row) ids.push_back(absl::StrCat("row-", row));
  return ids;
}

// The dataset's own record keeps its blocks from the sweep.
absl::Status CommitRows(Store& store, int64_t rows, WriteSet& writes) {
  pb::DatasetRecord record;
  record.set_number(kDataset);
  record.set_rows(rows);
  writes.Put(DatasetKey("d"), record);
  return store.catalog().Commit(writes);
}

void Append(Store& store, int64_t first, int64_t rows, int64_t pixels = 12) {
  WriteSet writes;
  Must(store.samples().Write(kDataset, first, Rows(first, rows, pixels), Ids(first, rows), true,
                             writes));
  Must(CommitRows(store, first + rows, writes));
}

void ExpectRows(Store& store, const std::vector<uint32_t>& ordinals, int64_t pixels = 12) {
  const SampleBatch read = Must(store.samples().Read(kDataset, ordinals));
  ASSERT_EQ(read.rows, static_cast<int64_t>(ordinals.size()));
  for (size_t i = 0; i < ordinals.size(); ++i) {
    const SampleBatch expected = Rows(ordinals[i], 1, pixels);
    for (size_t c = 0; c < 2; ++c) {
      ASSERT_EQ(read.columns[c].spec, expected.columns[c].spec);
      const size_t bytes = expected.columns[c].data.size();
      ASSERT_EQ(std::memcmp(read.columns[c].data.data() + i * bytes,
                            expected.columns[c].data.data(), bytes),
                0)
          << "row " << ordinals[i];
    }
  }
}

std::vector<uint32_t> Upto(uint32_t rows) {
  std::vector<uint32_t> all(rows);
  for (uint32_t i = 0; i < rows; ++i) all[i] = i;
  return all;
}

TEST(SampleStore, AppendsOfAnySizeReadAsOne) {
  TestDirectory directory;
  int64_t rows = 0;
  for (const int64_t append : {1, 2, 300, 1, 252, 256, 700, 5}) {
    Append(directory.store(), rows, append);
    rows += append;
  }
  ExpectRows(directory.store(), Upto(static_cast<uint32_t>(rows)));
  ExpectRows(directory.store(), {0, 2, 3, 303, 304, 555, 556, 1000, 1516});
  directory.CrashAndReopen();
  ExpectRows(directory.store(), Upto(static_cast<uint32_t>(rows)));
  const auto headers = Must(directory.store().samples().ReadHeaders(kDataset, 0, 1 << 30));
  ASSERT_EQ(static_cast<int64_t>(headers.size()), rows);
  for (int64_t r = 0; r < rows; ++r) {
    ASSERT_EQ(headers[r].id, absl::StrCat("row-", r));
    ASSERT_EQ(headers[r].digest, SampleDigest(Rows(r, 1), 0));
    ASSERT_FALSE(headers[r].deleted);
  }
}

TEST(SampleStore, LargeSamplesHaveBlocksOfTheirOwn) {
  TestDirectory directory;
  constexpr int64_t kPixels = 700'000;
  EXPECT_EQ(TensorBlockRows(Rows(0, 1, kPixels)), 1);
  EXPECT_EQ(TensorBlockRows(Rows(0, 1, 10'000)), 64);
  EXPECT_EQ(TensorBlockRows(Rows(0, 1)), 256);
  Append(directory.store(), 0, 9, kPixels);
  ExpectRows(directory.store(), {0, 4, 8}, kPixels);
}

TEST(SampleStore, UncommittedAppendIsInvisibleAndOverwritten) {
  TestDirectory directory;
  Append(directory.store(), 0, 10);
  {
    WriteSet never_committed;
    SampleBatch wrong = Rows(500, 600);
    Must(directory.store().samples().Write(kDataset, 10, wrong, Ids(500, 600), true,
                                           never_committed));
  }
  directory.CrashAndReopen();
  SampleStore& samples = directory.store().samples();
  EXPECT_EQ(samples.Read(kDataset, {10}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Must(samples.ReadHeaders(kDataset, 0, 100)).size(), 10u);
  for (int64_t rows = 10; rows < 700; rows += 23) Append(directory.store(), rows, 23);
  ExpectRows(directory.store(), Upto(700));
  EXPECT_EQ(Must(samples.ReadHeaders(kDataset, 600, 1))[0].id, "row-600");
}

TEST(SampleStore, TakenIdsAreRefusedAndNamed) {
  TestDirectory directory;
  Append(directory.store(), 0, 5);
  SampleStore& samples = directory.store().samples();
  WriteSet writes;
  const absl::Status stored =
      samples.Write(kDataset, 5, Rows(5, 2), {"new", "row-3"}, false, writes);
  EXPECT_EQ(stored.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(stored.message()), HasSubstr("'row-3'"));
  const absl::Status twice =
      samples.Write(kDataset, 5, Rows(5, 2), {"same", "same"}, false, writes);
  EXPECT_EQ(twice.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(writes.changes().empty()) << "a refused append adds nothing";
  Must(samples.Write(kDataset, 5, Rows(5, 1), {"new"}, false, writes));
  EXPECT_EQ(samples.Write(kDataset, 6, Rows(6, 1), {"new"}, false, writes).code(),
            absl::StatusCode::kAlreadyExists)
      << "within one uncommitted set, too";
}

TEST(SampleStore, ManyWritesBecomeVisibleInOneCommit) {
  TestDirectory directory;
  WriteSet writes;
  for (int64_t first = 0; first < 1000; first += 100) {
    Must(directory.store().samples().Write(kDataset, first, Rows(first, 100), Ids(first, 100),
                                           false, writes));
  }
  EXPECT_EQ(directory.store().samples().Read(kDataset, {0}).status().code(),
            absl::StatusCode::kNotFound);
  Must(CommitRows(directory.store(), 1000, writes));
  ExpectRows(directory.store(), Upto(1000));
}

TEST(SampleStore, DeletedRowIsMarkedAndItsIdIsFree) {
  TestDirectory directory;
  Append(directory.store(), 0, 600);
  WriteSet writes;
  Must(directory.store().samples().MarkDeleted(kDataset, {511, 3}, writes));
  Must(directory.store().catalog().Commit(writes));
  directory.Reopen();
  const auto headers = Must(directory.store().samples().ReadHeaders(kDataset, 0, 600));
  for (size_t r = 0; r < headers.size(); ++r) EXPECT_EQ(headers[r].deleted, r == 3 || r == 511);
  Catalog& catalog = directory.store().catalog();
  EXPECT_EQ(catalog.GetU32(SampleIndexKey(kDataset, "row-3")).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(catalog.GetU32(SampleDigestKey(kDataset, ToHex(headers[3].digest))).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Must(catalog.GetU32(SampleIndexKey(kDataset, "row-4"))), 4u);
  WriteSet again;
  Must(directory.store().samples().Write(kDataset, 600, Rows(600, 1), {"row-3"}, false, again));
  Must(directory.store().samples().MarkDeleted(kDataset, {3}, again));
  Must(CommitRows(directory.store(), 601, again));
  EXPECT_EQ(Must(catalog.GetU32(SampleIndexKey(kDataset, "row-3"))), 600u)
      << "deleting the old row again does not free the new one's id";
  EXPECT_EQ(directory.store().samples().MarkDeleted(kDataset, {601}, again).code(),
            absl::StatusCode::kNotFound);
}

// Marks rows as deleted and erases them, but for the last commit.
WriteSet MarkAndErase(Store& store, const std::vector<uint32_t>& ordinals) {
  WriteSet marks;
  Must(store.samples().MarkDeleted(kDataset, ordinals, marks));
  Must(store.catalog().Commit(marks));
  WriteSet erased;
  Must(store.samples().Erase(kDataset, ordinals, erased));
  return erased;
}

TEST(SampleStore, ErasedRowsAreGoneAndAllOthersStay) {
  TestDirectory directory;
  for (int64_t first = 0; first < 700; first += 70) Append(directory.store(), first, 70);
  // One, the ends of a block, a whole one, all but one, and every other row.
  std::vector<uint32_t> erased = {3, 70, 139};
  for (uint32_t row = 210; row < 256; ++row) erased.push_back(row);
  for (uint32_t row = 350; row < 419; ++row) erased.push_back(row);
  for (uint32_t row = 420; row < 560; row += 2) erased.push_back(row);
  Must(directory.store().catalog().Commit(MarkAndErase(directory.store(), erased)));
  EXPECT_TRUE(Must(directory.store().samples().NotErased(kDataset)).empty());
  for (int opened = 0; opened < 2; ++opened) {
    SampleStore& samples = directory.store().samples();
    const std::vector<uint32_t> living = Must(samples.Living(kDataset, Upto(700)));
    EXPECT_EQ(living.size() + erased.size(), 700u);
    ExpectRows(directory.store(), living);
    for (const uint32_t row : living) ExpectRows(directory.store(), {row});
    const auto headers = Must(samples.ReadHeaders(kDataset, 0, 700));
    for (const uint32_t row : erased) {
      const absl::Status gone = samples.Read(kDataset, {row}).status();
      ASSERT_EQ(gone.code(), absl::StatusCode::kNotFound) << gone;
      EXPECT_TRUE(headers[row].deleted);
      EXPECT_EQ(headers[row].id, "");
      EXPECT_EQ(headers[row].digest, Digest{});
    }
    for (const uint32_t row : living) EXPECT_EQ(headers[row].id, absl::StrCat("row-", row));
    if (opened == 0) directory.CrashAndReopen();
  }
  Append(directory.store(), 700, 5);
  ExpectRows(directory.store(), {3 + 1, 699, 700, 704});
}

TEST(SampleStore, ErasureThatACrashInterruptedIsDoneAgain) {
  TestDirectory directory;
  Append(directory.store(), 0, 600);
  const std::vector<uint32_t> rows = {5, 6, 255, 256, 599};
  MarkAndErase(directory.store(), rows);  // never committed
  directory.CrashAndReopen();
  SampleStore& samples = directory.store().samples();
  EXPECT_EQ(Must(samples.NotErased(kDataset)), rows);
  WriteSet writes;
  Must(samples.Erase(kDataset, rows, writes));
  Must(directory.store().catalog().Commit(writes));
  EXPECT_TRUE(Must(samples.NotErased(kDataset)).empty());
  ExpectRows(directory.store(), Must(samples.Living(kDataset, Upto(600))));
}

TEST(SampleStore, OnlyDeletedRowsCanBeErased) {
  TestDirectory directory;
  Append(directory.store(), 0, 10);
  WriteSet writes;
  EXPECT_EQ(directory.store().samples().Erase(kDataset, {4}, writes).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(writes.changes().empty());
  ExpectRows(directory.store(), Upto(10));
}

TEST(SampleStore, WrongCallsAreRefused) {
  TestDirectory directory;
  Append(directory.store(), 0, 3);
  SampleStore& samples = directory.store().samples();
  WriteSet writes;
  EXPECT_EQ(samples.Write(kDataset, 3, Rows(3, 2), {"one"}, false, writes).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(samples.Write(kDataset, 3, Rows(3, 1), {""}, false, writes).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(samples.Write(kDataset, int64_t{1} << 32, Rows(3, 1), {"a"}, false, writes).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(samples.Read(kDataset, {2, 1}).status().code(), absl::StatusCode::kInvalidArgument);
  const absl::Status missing = samples.Read(kDataset, {1, 3}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("no row 3"));
}

// 64 samples of 100 kB. Noise does not compress: the blocks stay as large as they are.
void AppendNoise(Store& store) {
  SampleBatch noise = Rows(0, 64, 100'000);
  uint32_t state = 1;
  for (std::byte& pixel : noise.columns[0].data) {
    pixel = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  }
  WriteSet writes;
  Must(store.samples().Write(kDataset, 0, noise, Ids(0, 64), true, writes));
  Must(CommitRows(store, 64, writes));
}

TEST(SampleStore, CompactionGivesTheDiskOfErasedRowsBack) {
  TestDirectory directory;
  AppendNoise(directory.store());
  std::vector<uint32_t> half;
  for (uint32_t row = 0; row < 64; row += 2) half.push_back(row);
  for (int again = 0; again < 2; ++again) {
    if (again == 1) directory.Reopen();  // out of the log, into tables
    EXPECT_GT(directory.DiskBytes("db"), again == 0 ? 6'000'000 : 3'000'000);
    Must(directory.store().catalog().Commit(MarkAndErase(directory.store(), half)));
    Must(directory.store().samples().Compact(kDataset, half.front(), half.back(), CancelToken()));
    EXPECT_LT(directory.DiskBytes("db"), 3'600'000 - again * 2'900'000);
    for (uint32_t& row : half) ++row;
  }
}

TEST(SampleStore, DeletingADatasetGivesItsDiskBack) {
  TestDirectory directory;
  AppendNoise(directory.store());
  directory.Reopen();  // out of the log, into tables
  EXPECT_GT(directory.DiskBytes("db"), 6'000'000);
  for (int i = 0; i < 2; ++i) Must(directory.store().samples().DeleteDataset(kDataset));
  EXPECT_LT(directory.DiskBytes("db"), 1'000'000);
  EXPECT_EQ(directory.store().samples().Read(kDataset, {0}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(directory.store().catalog().GetU32(SampleIndexKey(kDataset, "row-0")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(SampleDigest, DependsOnEveryPartOfTheRowAndNotOnColumnOrder) {
  const SampleBatch batch = Rows(0, 2);
  const Digest digest = SampleDigest(batch, 0);
  EXPECT_NE(digest, SampleDigest(batch, 1));
  EXPECT_EQ(SampleDigest(Rows(1, 1), 0), SampleDigest(batch, 1));
  SampleBatch swapped = batch;
  std::swap(swapped.columns[0], swapped.columns[1]);
  EXPECT_EQ(digest, SampleDigest(swapped, 0));
  SampleBatch renamed = batch;
  renamed.columns[0].spec.name = "picture";
  EXPECT_NE(digest, SampleDigest(renamed, 0));
  SampleBatch reshaped = batch;
  reshaped.columns[0].spec.shape = {3, 4};
  EXPECT_NE(digest, SampleDigest(reshaped, 0));
  SampleBatch changed = batch;
  changed.columns[0].data[11] ^= std::byte{1};
  EXPECT_NE(digest, SampleDigest(changed, 0));
}

TEST(SampleBlock, EveryFlippedBitIsFoundAndNamed) {
  const BlockKey tensors = {3, BlockKind::kTensors, 512};
  const std::string block = EncodeTensors(tensors, Rows(0, 2), 0, 2);
  for (size_t bit = 0; bit < 8 * block.size(); ++bit) {
    std::string flipped = block;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const absl::Status status = DecodeTensors(tensors, flipped).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << "bit " << bit;
    ASSERT_THAT(std::string(status.message()), HasSubstr("tensor block of dataset 3 at row 512"));
  }
  const BlockKey identities = {3, BlockKind::kIdentities, 256};
  const std::string ids = EncodeIdentities(identities, {{"a", {}}, {"b", {}}});
  for (size_t bit = 0; bit < 8 * ids.size(); ++bit) {
    std::string flipped = ids;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_EQ(DecodeIdentities(identities, flipped).status().code(), absl::StatusCode::kDataLoss);
  }
  for (size_t length = 0; length < block.size(); ++length) {
    ASSERT_EQ(DecodeTensors(tensors, std::string_view(block).substr(0, length)).status().code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(DecodeTensors({3, BlockKind::kTensors, 0}, block).status().code(),
            absl::StatusCode::kDataLoss)
      << "under another key";
}

}  // namespace
}  // namespace bif::storage
