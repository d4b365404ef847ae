// The real daemon: backed up while it samples, restored elsewhere, and sampling goes on there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "tests/integration/small_classifier.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;

constexpr int kRows = 64;
constexpr uint32_t kDraws = 400;

class DaemonBackup : public ::testing::Test {
 protected:
  std::unique_ptr<DaemonProcess> StartOn(const std::string& data) {
    return std::make_unique<DaemonProcess>(
        scratch_ / data, std::vector<std::string>{"--allow-root=" + scratch_.path()});
  }
  // Runs bifd with these words and gives its exit code.
  static int Bifd(const std::string& words) {
    const int status = std::system((std::string(BIF_DAEMON " ") + words + " >/dev/null").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TempDir scratch_;
};

TEST_F(DaemonBackup, WhatWasBackedUpWhileSamplingGoesOnElsewhereBitByBit) {
  std::string operation;
  std::string posterior;
  std::vector<uint32_t> expected;
  uint32_t draws_at_backup = 0;
  {
    auto daemon = StartOn("data");
    ASSERT_TRUE(daemon->serving()) << daemon->log();
    client::Client client(ClientOf(*daemon));
    operation =
        client.CreatePosterior(PrepareClassifier(client, scratch_.path(), kRows, kDraws))->name();
    const auto done =
        client.WatchOperation(operation, 0, [&](const v1::WatchOperationResponse& change) {
          v1::PosteriorProgress progress;
          change.operation().metadata().UnpackTo(&progress);
          if (draws_at_backup > 0 || progress.draws_done() < 60) return;
          draws_at_backup = progress.draws_done();
          v1::BackupRequest request;
          request.set_directory(scratch_ / "backup");
          const auto backup = client.Backup(request);
          ASSERT_TRUE(backup.ok()) << backup.status();
          EXPECT_TRUE(backup->done());
        });
    ASSERT_TRUE(done.ok()) << done.status();
    v1::Posterior sampled;
    ASSERT_TRUE(done->response().UnpackTo(&sampled));
    posterior = sampled.name();
    ASSERT_GT(draws_at_backup, 0u);
    ASSERT_LT(draws_at_backup, 2 * kDraws) << "it was to be backed up while it was sampled";
    expected = TraceBits(client, posterior);
    ASSERT_EQ(expected.size(), kRows * 2u * kDraws);
    ASSERT_TRUE(client.DeletePosterior(posterior).ok());  // of no consequence to the backup
    v1::ScrubResponse last;
    const absl::Status scrubbed =
        client.Scrub(v1::ScrubRequest(), [&](const v1::ScrubResponse& response) {
          last = response;
          return absl::OkStatus();
        });
    EXPECT_TRUE(scrubbed.ok()) << scrubbed;
    EXPECT_EQ(last.damaged(), 0);
    EXPECT_EQ(Bifd("fsck " + (scratch_ / "data") + " 2>/dev/null"), 2) << "a daemon has it";
  }

  ASSERT_EQ(Bifd("fsck " + (scratch_ / "backup")), 0);
  ASSERT_EQ(Bifd("restore " + (scratch_ / "backup") + " " + (scratch_ / "elsewhere")), 0);
  auto daemon = StartOn("elsewhere");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  WaitUntilDone(client, operation);  // it goes on by itself
  EXPECT_EQ(TraceBits(client, posterior), expected);
  daemon->Signal(SIGTERM);
  EXPECT_EQ(daemon->AwaitExit(), 0);
  EXPECT_EQ(Bifd("fsck " + (scratch_ / "elsewhere")), 0);
}

TEST_F(DaemonBackup, NoDaemonStartsOnABackup) {
  {
    auto daemon = StartOn("data");
    client::Client client(ClientOf(*daemon));
    v1::BackupRequest request;
    request.set_directory(scratch_ / "backup");
    ASSERT_TRUE(client.Backup(request).ok());
  }
  auto daemon = StartOn("backup");
  EXPECT_FALSE(daemon->serving());
  EXPECT_EQ(daemon->AwaitExit(), 1);
  EXPECT_THAT(daemon->log(), HasSubstr("bifd restore"));
}

}  // namespace
}  // namespace bif::testing
