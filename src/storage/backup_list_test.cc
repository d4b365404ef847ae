#include "src/storage/backup_list.h"

#include <gtest/gtest.h>

#include "absl/strings/str_format.h"
#include "src/base/digest.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

BackupList SomeList() { return {"2026-01-02T03:04:05+00:00", {{"db/CURRENT", 16}, {"a b", 0}}}; }

TEST(BackupList, IsReadAsItWasWritten) {
  const testing::TempDir folder;
  EXPECT_FALSE(HasBackupList(folder.path()));
  Must(WriteBackupList(folder.path(), SomeList()));
  EXPECT_TRUE(HasBackupList(folder.path()));
  EXPECT_EQ(Must(ReadBackupList(folder.path())), SomeList());
  EXPECT_EQ(SomeList().bytes(), 16);
}

TEST(BackupList, AnyFlippedBitAndAnyCutIsDamage) {
  const testing::TempDir folder;
  Must(WriteBackupList(folder.path(), SomeList()));
  const std::string path = folder / "BACKUP";
  const int64_t bytes = Must(FileSize(path));
  for (int64_t at = 0; at < bytes; ++at) {
    FlipBit(path, at);
    EXPECT_EQ(ReadBackupList(folder.path()).status().code(), absl::StatusCode::kDataLoss) << at;
    FlipBit(path, at);
  }
  Must(ReadBackupList(folder.path()));
  for (int64_t left = bytes - 1; left >= 0; --left) {
    CutFile(path, left);
    EXPECT_EQ(ReadBackupList(folder.path()).status().code(), absl::StatusCode::kDataLoss) << left;
  }
}

// With a right checksum, as an attacker or another build would write it.
TEST(BackupList, PathsThatLeadOutAreRefused) {
  for (const char* line : {"1 ../secret", "1 /etc/passwd", "1 a//b", "-1 a", "x a", "1", "1 "}) {
    const testing::TempDir folder;
    const std::string text = absl::StrFormat("bif backup 1\ntime t\n%s\n", line);
    std::ofstream(folder / "BACKUP") << text << absl::StrFormat("checksum %016x\n", Checksum(text));
    EXPECT_EQ(ReadBackupList(folder.path()).status().code(), absl::StatusCode::kDataLoss) << line;
  }
}

}  // namespace
}  // namespace bif::storage
