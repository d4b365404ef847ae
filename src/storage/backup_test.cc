#include "src/storage/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "src/base/status.h"
#include "src/storage/restore.h"
#include "tests/support/segment_writer.h"
#include "tests/support/store_digest.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

class BackupTest : public ::testing::Test {
 protected:
  absl::StatusOr<BackupReport> Backup(const std::string& name) {
    BackupOptions options;
    options.directory = scratch_ / name;
    return source_.store().Backup(options);
  }
  absl::Status Restore(const std::string& backup, const std::string& data) {
    RestoreOptions options;
    options.backup = scratch_ / backup;
    options.data_directory = scratch_ / data;
    return RestoreBackup(options).status();
  }
  std::unique_ptr<Store> Open(const std::string& data) {
    StoreOptions options;
    options.root = scratch_ / data;
    options.memory_bytes = 16 << 20;
    return Must(OpenStore(options));
  }
  // What a store with so many segments holds.
  static std::string DigestAfter(uint32_t segments) {
    TestDirectory reference;
    SegmentWriter(reference.store()).WriteMany(segments);
    return DigestOf(reference.store());
  }

  TestDirectory source_;
  testing::TempDir scratch_;
};

TEST_F(BackupTest, WhatIsRestoredEqualsTheSourceAtTheMomentOfTheBackupWhileAJobWrites) {
  absl::Mutex mutex;
  uint32_t written = 0;
  bool enough = false;
  std::thread job([&] {
    SegmentWriter writer(source_.store());
    while (true) {
      writer.Write();
      absl::MutexLock lock(&mutex);
      written = writer.segments();
      if (enough) return;
    }
  });
  uint32_t earlier = 0;
  for (const char* name : {"first", "second", "third"}) {
    {
      absl::MutexLock lock(&mutex);
      const auto further = [&] { return written >= earlier + 3; };
      mutex.Await(absl::Condition(&further));
    }
    const BackupReport report = Must(Backup(name));
    EXPECT_GT(report.files, 10);
    EXPECT_TRUE(report.missing.empty());
    Must(Restore(name, absl::StrCat(name, "-restored")));
    const auto restored = Open(absl::StrCat(name, "-restored"));
    const uint32_t segments = SegmentWriter::SegmentsIn(*restored);
    EXPECT_GE(segments, earlier + 3);
    EXPECT_EQ(DigestOf(*restored), DigestAfter(segments)) << name;
    EXPECT_EQ(restored->recovery().swept_files, 0) << "a backup holds what the catalog names alone";
    earlier = segments;
  }
  {
    absl::MutexLock lock(&mutex);
    enough = true;
  }
  job.join();
}

TEST_F(BackupTest, WhatIsDeletedLaterStaysInTheBackup) {
  SegmentWriter(source_.store()).WriteMany(3);
  Must(Backup("backup"));
  WriteSet writes;
  writes.Delete(PosteriorKey("lasting"));
  writes.DeletePrefix(DrawPrefix(kWrittenPosterior));
  Must(source_.store().catalog().Commit(writes));
  Must(source_.store().draws().DeletePosterior(kWrittenPosterior));
  Must(source_.store().traces().DeletePosterior(kWrittenPosterior));
  Must(Restore("backup", "restored"));
  EXPECT_EQ(DigestOf(*Open("restored")), DigestAfter(3));
}

TEST_F(BackupTest, LinksAreTheSameFilesAndCopiesAreNot) {
  SegmentWriter(source_.store()).WriteMany(3);
  const BackupReport linked = Must(Backup("linked"));
  EXPECT_EQ(linked.copied_bytes, 0);
  BackupOptions options;
  options.directory = scratch_ / "copied";
  options.copy = true;
  const BackupReport copied = Must(source_.store().Backup(options));
  EXPECT_EQ(copied.copied_bytes, copied.bytes);
  for (const std::string& path : source_.Files("draws", ".draws")) {
    const std::string relative = path.substr(source_.root().size());
    EXPECT_TRUE(std::filesystem::equivalent(path, scratch_ / ("linked" + relative)));
    EXPECT_FALSE(std::filesystem::equivalent(path, scratch_ / ("copied" + relative)));
  }
  Must(Restore("copied", "restored"));
  EXPECT_EQ(DigestOf(*Open("restored")), DigestAfter(3));
}

TEST_F(BackupTest, ARestoredDirectorySharesNoFileWithTheBackup) {
  SegmentWriter(source_.store()).WriteMany(2);
  Must(Backup("backup"));
  Must(Restore("backup", "restored"));
  for (const std::string& name : Must(ListFilesRecursively(scratch_ / "restored")))
    EXPECT_EQ(std::filesystem::hard_link_count(scratch_ / ("restored/" + name)), 1u) << name;
}

// At every file: what a crash would leave there is no backup, and nobody takes it for one.
TEST_F(BackupTest, OneThatWasCutOffIsRefusedInWords) {
  SegmentWriter(source_.store()).WriteMany(1);
  BackupOptions options;
  options.directory = scratch_ / "backup";
  int cuts = 0;
  options.on_progress = [&](const BackupProgress& progress) {
    EXPECT_LE(progress.bytes_done, progress.bytes);
    std::filesystem::copy(options.directory, scratch_ / absl::StrCat("cut-", cuts++),
                          std::filesystem::copy_options::recursive);
  };
  const BackupReport report = Must(source_.store().Backup(options));
  ASSERT_EQ(cuts, report.files);
  for (int cut = 0; cut < cuts; ++cut) {
    const std::string name = absl::StrCat("cut-", cut);
    absl::Status refused = Restore(name, "restored");
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("cut off"));
    StoreOptions store_options;
    store_options.root = scratch_ / name;
    EXPECT_EQ(Reason(OpenStore(store_options).status()), "DIRECTORY_INCOMPLETE");
    // Without the mark, as a copy of a copy may be, the list is missing.
    std::filesystem::remove(scratch_ / (name + "/INCOMPLETE"));
    refused = Restore(name, "restored");
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("no complete backup"));
  }
  EXPECT_FALSE(FileExists(scratch_ / "restored"));
  Must(Restore("backup", "restored"));
}

TEST_F(BackupTest, AMissingAndAShortFileAreNamed) {
  SegmentWriter(source_.store()).WriteMany(1);
  BackupOptions options;
  options.directory = scratch_ / "backup";
  options.copy = true;
  Must(source_.store().Backup(options));
  std::string draws;
  for (const std::string& name : Must(ListFilesRecursively(options.directory + "/draws")))
    if (name.ends_with(".draws")) draws = options.directory + "/draws/" + name;
  CutFile(draws, Must(FileSize(draws)) - 1);
  absl::Status refused = Restore("backup", "restored");
  EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(draws));
  std::filesystem::remove(draws);
  refused = Restore("backup", "restored");
  EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(draws + " is missing"));
}

TEST_F(BackupTest, ADamagedBackupIsRestoredOnlyIfThatIsWanted) {
  SegmentWriter(source_.store()).WriteMany(2);
  BackupOptions backup;
  backup.directory = scratch_ / "backup";
  backup.copy = true;
  Must(source_.store().Backup(backup));
  const std::string draws = scratch_ / "backup/draws/1/c0001-d00000003-00000006.draws";
  FlipBit(draws, 100);
  RestoreOptions options;
  options.backup = scratch_ / "backup";
  options.data_directory = scratch_ / "restored";
  std::vector<std::string> damaged;
  options.on_damage = [&](const Damage& damage) { damaged.push_back(damage.object); };
  EXPECT_EQ(RestoreBackup(options).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(damaged, ::testing::ElementsAre("draw 3 of chain 1 of posteriors/lasting"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "restored"));
  options.keep_damaged = true;
  EXPECT_EQ(Must(RestoreBackup(options)).damaged, 1);
  EXPECT_EQ(SegmentWriter::SegmentsIn(*Open("restored")), 2u);
}

TEST_F(BackupTest, RefusesPlacesThatAreNone) {
  SegmentWriter(source_.store()).WriteMany(1);
  const auto code = [this](const std::string& directory) {
    BackupOptions options;
    options.directory = directory;
    return source_.store().Backup(options).status().code();
  };
  EXPECT_EQ(code(""), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("backup"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(source_.root() + "/backup"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(source_.root()), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(scratch_ / "no/such/folder"), absl::StatusCode::kNotFound);
  Must(Backup("backup"));
  EXPECT_EQ(code(scratch_ / "backup"), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(source_.Files("tmp", "").empty());
}

TEST_F(BackupTest, ACancelledOneLeavesNothing) {
  SegmentWriter(source_.store()).WriteMany(1);
  BackupOptions options;
  options.directory = scratch_ / "backup";
  options.on_progress = [&](const BackupProgress&) { options.cancel.Cancel(); };
  EXPECT_EQ(source_.store().Backup(options).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(std::filesystem::is_empty(options.directory));
  EXPECT_TRUE(source_.Files("tmp", "").empty());
  Must(Backup("backup"));
}

TEST_F(BackupTest, OneAtATime) {
  SegmentWriter(source_.store()).WriteMany(1);
  BackupOptions options;
  options.directory = scratch_ / "backup";
  options.on_progress = [&](const BackupProgress& progress) {
    if (progress.files_done > 1) return;
    std::thread other(
        [&] { EXPECT_EQ(Backup("other").status().code(), absl::StatusCode::kFailedPrecondition); });
    other.join();
  };
  Must(source_.store().Backup(options));
}

TEST_F(BackupTest, AFileThatIsMissingAlreadyIsReportedAndTheRestIsKept) {
  SegmentWriter(source_.store()).WriteMany(2);
  std::filesystem::remove(source_.root() + "/draws/1/c0000-d00000000-00000003.draws");
  const BackupReport report = Must(Backup("backup"));
  EXPECT_THAT(report.missing, ::testing::ElementsAre("draws/1/c0000-d00000000-00000003.draws"));
  EXPECT_EQ(Restore("backup", "restored").code(), absl::StatusCode::kDataLoss);
}

TEST_F(BackupTest, NoDaemonStartsOnABackup) {
  SegmentWriter(source_.store()).WriteMany(1);
  Must(Backup("backup"));
  StoreOptions options;
  options.root = scratch_ / "backup";
  const absl::Status refused = OpenStore(options).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("bifd restore"));
}

TEST_F(BackupTest, RestoringTakesAnEmptyFolderAndNoOther) {
  SegmentWriter(source_.store()).WriteMany(1);
  Must(Backup("backup"));
  std::filesystem::create_directory(scratch_ / "empty");
  Must(Restore("backup", "empty"));
  const absl::Status refused = Restore("backup", "empty");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("no empty folder"));
  EXPECT_EQ(Restore("backup", "backup/data").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Restore("no-such-backup", "restored").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(BackupTest, StartSweepsWhatACrashLeftOfOne) {
  SegmentWriter(source_.store()).WriteMany(1);
  BackupOptions options;
  options.directory = scratch_ / "backup";
  bool crashed = false;
  options.on_progress = [&](const BackupProgress&) {
    if (std::exchange(crashed, true)) return;
    std::filesystem::copy(source_.root(), scratch_ / "crashed",
                          std::filesystem::copy_options::recursive);
  };
  Must(source_.store().Backup(options));
  ASSERT_TRUE(FileExists(scratch_ / "crashed/tmp/backup"));
  const auto store = Open("crashed");
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "crashed/tmp"));
  EXPECT_EQ(DigestOf(*store), DigestAfter(1));
}

}  // namespace
}  // namespace bif::storage
