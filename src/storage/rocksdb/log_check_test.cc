#include "src/storage/rocksdb/log_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>

#include "src/base/files.h"
#include "tests/support/must.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

// A log as RocksDB writes it: small records, and one that is longer than a block.
std::string WrittenLog() {
  const bif::testing::TempDir scratch;
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  if (!rocksdb::DB::Open(options, scratch.path(), &db).ok()) return "";
  for (const size_t bytes : {10, 100, 40'000, 50, 0, 20}) {
    if (!db->Put({}, "key", std::string(bytes, 'x')).ok()) return "";
  }
  std::string log;
  for (const std::string& name : Must(ListFilesRecursively(scratch.path()))) {
    if (name.ends_with(".log")) log += Must(ReadFile(scratch / name));
  }
  delete db;
  return log;
}

TEST(LogCheck, ALogAndEveryBeginningOfItAreFine) {
  const std::string log = WrittenLog();
  ASSERT_GT(log.size(), 40'000u);
  for (size_t bytes = 0; bytes <= log.size(); bytes += bytes < 39'000 ? 97 : 1)
    EXPECT_TRUE(CheckLog(std::string_view(log).substr(0, bytes), "log").ok()) << bytes;
}

TEST(LogCheck, ZerosThatWereAllocatedAtTheEndAreFine) {
  EXPECT_TRUE(CheckLog(WrittenLog() + std::string(5000, '\0'), "log").ok());
}

TEST(LogCheck, EveryFlippedBitIsDamageAndNamed) {
  const std::string log = WrittenLog();
  // All bits of the small records, and some of the long one.
  for (size_t byte = 0; byte < log.size(); byte += byte < 200 || byte > 39'900 ? 1 : 499) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = log;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      // The few zeros at a block's end mean nothing.
      if (byte % 32768 >= 32768 - 6) continue;
      const absl::Status status = CheckLog(flipped, "000004.log");
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << "byte " << byte << " bit " << bit;
      EXPECT_THAT(std::string(status.message()), HasSubstr("000004.log is damaged at byte "));
    }
  }
}

// Why all this is here: RocksDB alone opens such a log, and an acknowledged record is gone.
TEST(LogCheck, RocksDbAloneDropsARecordWithAFlippedType) {
  const bif::testing::TempDir scratch;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, scratch / "written", &db).ok());
  ASSERT_TRUE(db->Put({}, "first", "1").ok());
  const size_t second =
      static_cast<size_t>(Must(FileSize(scratch / "written/000004.log")));  // begins there
  ASSERT_TRUE(db->Put({}, "second", "2").ok());
  ASSERT_TRUE(db->Put({}, "third", "3").ok());
  std::filesystem::copy(scratch / "written", scratch / "copy");  // as kill -9 leaves it
  delete db;
  std::string log = Must(ReadFile(scratch / "copy/000004.log"));
  log[second + 6] = static_cast<char>(log[second + 6] ^ 4);  // 1, full, to 5, recyclable
  std::ofstream(scratch / "copy/000004.log", std::ios::binary) << log;
  EXPECT_EQ(CheckLogs(scratch / "copy").code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(rocksdb::DB::Open(options, scratch / "copy", &db).ok());
  std::string value;
  EXPECT_TRUE(db->Get({}, "first", &value).ok());
  EXPECT_TRUE(db->Get({}, "second", &value).IsNotFound());
  EXPECT_TRUE(db->Get({}, "third", &value).IsNotFound());
  delete db;
}

TEST(LogCheck, ADatabaseThatIsNotThereYetIsFine) {
  const bif::testing::TempDir scratch;
  EXPECT_TRUE(CheckLogs(scratch.path()).ok());
}

}  // namespace
}  // namespace bif::storage
