// A posterior that is backed up while it is sampled, and goes on elsewhere.
#include <gtest/gtest.h>

#include "src/storage/restore.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

class PosteriorBackupTest : public JobsFixture {
 protected:
  // Continues on what a backup holds, as another machine would.
  void MoveTo(const std::string& backup) {
    Stop();
    std::filesystem::remove_all(data_ / "store");
    storage::RestoreOptions options;
    options.backup = backup;
    options.data_directory = data_ / "store";
    const auto restored = storage::RestoreBackup(options);
    ASSERT_TRUE(restored.ok()) << restored.status();
    Start();
  }
};

TEST_F(PosteriorBackupTest, ABackupAtAnyMomentGoesOnToTheSameBits) {
  PosteriorSpec spec;
  spec.checkpoint = MakeCheckpoint();
  spec.dataset = MakeDataset("train", 10);
  spec.settings = SomeSettings();
  const auto whole = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const std::string posterior = WaitFor(whole->name).target;
  const Contents expected = Read(posterior);
  ASSERT_EQ(expected.draws.size(), 16u);
  ASSERT_TRUE(jobs_->posteriors().Delete(posterior).ok());
  const int64_t calls = engine_.hooks().advance_calls;  // burn-in and eight draws

  for (const int64_t moment : {1, 2, 4, 5, 8}) {
    const std::string backup = data_ / ("backup-" + std::to_string(moment));
    const int64_t start = engine_.hooks().advance_calls;
    engine_.hooks().on_advance = [&, start](int64_t call) -> absl::Status {
      if (call != start + moment) return absl::OkStatus();
      storage::BackupOptions options;
      options.directory = backup;
      return store_->Backup(options).status();
    };
    const auto operation = jobs_->posteriors().Create(spec);
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_TRUE(WaitFor(operation->name).error.ok()) << WaitFor(operation->name).error;
    engine_.hooks().on_advance = nullptr;

    MoveTo(backup);
    const Operation finished = WaitFor(operation->name);  // it goes on by itself
    ASSERT_TRUE(finished.error.ok()) << finished.error;
    EXPECT_TRUE(Read(posterior) == expected) << "backed up at call " << moment << " of " << calls;
    ASSERT_TRUE(jobs_->posteriors().Delete(posterior).ok());
  }
}

TEST_F(PosteriorBackupTest, DeletingAPosteriorLeavesItsBackupWhole) {
  PosteriorSpec spec;
  spec.checkpoint = MakeCheckpoint();
  spec.dataset = MakeDataset("train", 10);
  spec.settings = SomeSettings();
  const auto operation = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(operation.ok()) << operation.status();
  const std::string posterior = WaitFor(operation->name).target;
  const Contents expected = Read(posterior);
  storage::BackupOptions options;
  options.directory = data_ / "backup";
  ASSERT_TRUE(store_->Backup(options).ok());
  ASSERT_TRUE(jobs_->posteriors().Delete(posterior).ok());
  MoveTo(data_ / "backup");
  EXPECT_TRUE(Read(posterior) == expected);
}

}  // namespace
}  // namespace bif::jobs
