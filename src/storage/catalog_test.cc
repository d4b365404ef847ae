#include "src/storage/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::ElementsAre;

pb::OperationRecord Operation(const std::string& id) {
  pb::OperationRecord record;
  record.set_id(id);
  return record;
}

std::vector<std::string> Keys(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::vector<std::string> keys;
  for (const auto& row : rows) keys.push_back(row.first);
  return keys;
}

TEST(Catalog, CommittedRecordsSurviveACrash) {
  TestDirectory directory;
  WriteSet writes;
  writes.Put(OperationKey("a"), Operation("a"));
  writes.PutU32(SampleIndexKey(1, "x"), 17);
  Must(directory.store().catalog().Commit(writes));
  directory.CrashAndReopen();
  Catalog& catalog = directory.store().catalog();
  EXPECT_EQ(Must(catalog.Get<pb::OperationRecord>(OperationKey("a"))).id(), "a");
  EXPECT_EQ(Must(catalog.GetU32(SampleIndexKey(1, "x"))), 17u);
}

TEST(Catalog, MissingRecordIsNotFound) {
  TestDirectory directory;
  EXPECT_EQ(directory.store().catalog().GetBytes(OperationKey("none")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(Catalog, RecordThatDoesNotParseIsDataLoss) {
  TestDirectory directory;
  WriteSet writes;
  writes.PutBytes(OperationKey("a"), "\xff\xff\xff");
  Must(directory.store().catalog().Commit(writes));
  EXPECT_EQ(directory.store().catalog().Get<pb::OperationRecord>(OperationKey("a")).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(Catalog, ScanGivesPagesInKeyOrder) {
  TestDirectory directory;
  Catalog& catalog = directory.store().catalog();
  WriteSet writes;
  for (const char* id : {"b", "a", "c", "ab"}) writes.Put(OperationKey(id), Operation(id));
  writes.Put(DatasetKey("z"), pb::DatasetRecord());
  Must(catalog.Commit(writes));
  const RecordKey all = KindPrefix(RecordKind::kOperation);
  EXPECT_THAT(Keys(Must(catalog.ScanBytes(all, "", 0))), ElementsAre("a", "ab", "b", "c"));
  EXPECT_THAT(Keys(Must(catalog.ScanBytes(all, "", 2))), ElementsAre("a", "ab"));
  EXPECT_THAT(Keys(Must(catalog.ScanBytes(all, "ab", 2))), ElementsAre("b", "c"));
  EXPECT_THAT(Keys(Must(catalog.ScanBytes(all, "c", 2))), ElementsAre());
}

TEST(Catalog, NumbersInKeysSortAsNumbers) {
  TestDirectory directory;
  Catalog& catalog = directory.store().catalog();
  WriteSet writes;
  for (const uint32_t draw : {300u, 2u, 70000u}) {
    pb::DrawRecord record;
    record.set_offset(draw);
    writes.Put(DrawKey(1, 0, draw), record);
  }
  writes.Put(DrawKey(2, 0, 1), pb::DrawRecord());
  Must(catalog.Commit(writes));
  std::vector<uint64_t> order;
  for (const auto& row : Must(catalog.Scan<pb::DrawRecord>(DrawPrefix(1)))) {
    order.push_back(row.second.offset());
  }
  EXPECT_THAT(order, ElementsAre(2, 300, 70000));
}

TEST(Catalog, TenantAndRequestIdDoNotRunIntoEachOther) {
  EXPECT_NE(RequestIdKey("a", "bc").bytes, RequestIdKey("ab", "c").bytes);
}

TEST(Catalog, DeletingAPrefixLeavesItsNeighbours) {
  TestDirectory directory;
  Catalog& catalog = directory.store().catalog();
  WriteSet writes;
  writes.PutU32(SampleIndexKey(1, "a"), 1);
  writes.PutU32(SampleIndexKey(2, "a"), 2);
  writes.PutU32(SampleIndexKey(2, "\xff"), 3);
  writes.PutU32(SampleIndexKey(3, "a"), 4);
  Must(catalog.Commit(writes));
  WriteSet deletion;
  deletion.DeletePrefix(SampleIndexPrefix(2));
  Must(catalog.Commit(deletion));
  const auto found = Must(catalog.GetU32s({SampleIndexKey(1, "a"), SampleIndexKey(2, "a"),
                                           SampleIndexKey(2, "\xff"), SampleIndexKey(3, "a")}));
  EXPECT_THAT(found, ElementsAre(1u, std::nullopt, std::nullopt, 4u));
}

TEST(Catalog, NumbersAreNeverGivenTwice) {
  TestDirectory directory;
  EXPECT_EQ(Must(directory.store().catalog().NextNumber("posterior")), 1u);
  EXPECT_EQ(Must(directory.store().catalog().NextNumber("posterior")), 2u);
  EXPECT_EQ(Must(directory.store().catalog().NextNumber("dataset")), 1u);
  directory.CrashAndReopen();
  EXPECT_EQ(Must(directory.store().catalog().NextNumber("posterior")), 3u);
}

TEST(WriteSet, FindsTheLastChangeOfAKey) {
  WriteSet writes;
  const RecordKey key = SampleIndexKey(1, "a");
  EXPECT_EQ(writes.Find(key), nullptr);
  writes.PutU32(key, 1);
  writes.Delete(key);
  ASSERT_NE(writes.Find(key), nullptr);
  EXPECT_EQ(writes.Find(key)->type, WriteSet::Change::kDelete);
}

TEST(Catalog, TornLastCommitIsGoneAndTheOthersStay) {
  TestDirectory directory;
  for (const char* id : {"first", "second"}) {
    WriteSet writes;
    writes.Put(OperationKey(id), Operation(id));
    Must(directory.store().catalog().Commit(writes));
  }
  directory.Crash();
  const std::vector<std::string> logs = directory.Files("db", ".log");
  ASSERT_EQ(logs.size(), 1u);
  CutFile(logs[0], Must(FileSize(logs[0])) - 3);
  directory.Open();
  EXPECT_TRUE(directory.store().catalog().GetBytes(OperationKey("first")).ok());
  EXPECT_EQ(directory.store().catalog().GetBytes(OperationKey("second")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(Catalog, FlippedBitBeforeTheLastCommitIsNotSilentlyDropped) {
  TestDirectory directory;
  for (int i = 0; i < 20; ++i) {
    WriteSet writes;
    writes.Put(OperationKey(std::to_string(i)), Operation(std::string(100, 'x')));
    Must(directory.store().catalog().Commit(writes));
  }
  directory.Crash();
  const std::vector<std::string> logs = directory.Files("db", ".log");
  ASSERT_EQ(logs.size(), 1u);
  FlipBit(logs[0], Must(FileSize(logs[0])) / 2);
  EXPECT_EQ(directory.TryOpen().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace bif::storage
