#include "src/storage/rocksdb/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/files.h"
#include "src/storage/big_endian.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

RocksOptions Options(const bif::testing::TempDir& scratch) {
  RocksOptions options;
  options.path = scratch / "db";
  options.temporary_path = scratch.path();
  options.log = [](std::string_view) {};
  return options;
}

TEST(Database, ColumnFamilyOfANewerBuildIsRefused) {
  const bif::testing::TempDir scratch;
  {
    auto database = Database::Open(Options(scratch));
    ASSERT_TRUE(database.ok()) << database.status();
    rocksdb::ColumnFamilyHandle* family = nullptr;
    ASSERT_TRUE((*database)->db().CreateColumnFamily({}, "wonders", &family).ok());
    (*database)->db().DestroyColumnFamilyHandle(family);
  }
  const absl::Status opened = Database::Open(Options(scratch)).status();
  EXPECT_EQ(opened.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(opened.message()), HasSubstr("'wonders'"));
}

TEST(Database, WritesNoLogFileOfItsOwn) {
  const bif::testing::TempDir scratch;
  auto database = Database::Open(Options(scratch));
  ASSERT_TRUE(database.ok()) << database.status();
  EXPECT_FALSE(FileExists(scratch / "db/LOG"));
}

TEST(Database, StatusCodesSayWhatToDo) {
  const auto code = [](const rocksdb::Status& status) { return FromRocks(status, "doing").code(); };
  EXPECT_EQ(code(rocksdb::Status::OK()), absl::StatusCode::kOk);
  EXPECT_EQ(code(rocksdb::Status::Corruption()), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(rocksdb::Status::NoSpace()), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(rocksdb::Status::NotFound()), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(rocksdb::Status::Busy()), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(rocksdb::Status::IOError()), absl::StatusCode::kInternal);
}

TEST(BigEndian, BytesSortAsNumbersAndPrefixesEnd) {
  std::string small, large;
  AppendBigEndian(small, uint32_t{255});
  AppendBigEndian(large, uint32_t{256});
  EXPECT_LT(small, large);
  EXPECT_EQ(ReadBigEndian<uint32_t>(large, 0), 256u);
  EXPECT_EQ(PrefixEnd("a"), "b");
  EXPECT_EQ(PrefixEnd(std::string("a\xff\xff", 3)), "b");
  EXPECT_EQ(PrefixEnd("\xff"), "");
}

}  // namespace
}  // namespace bif::storage
