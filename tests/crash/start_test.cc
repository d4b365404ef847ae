// What the real daemon says when it starts: of a directory that it must not touch, and of what a
// crash has left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "src/storage/rocksdb/rocks_stores.h"
#include "src/storage/store.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;
using ::testing::Not;

class Start : public ::testing::Test {
 protected:
  std::string data() const { return scratch_ / "data"; }
  std::unique_ptr<DaemonProcess> Daemon() {
    return std::make_unique<DaemonProcess>(
        data(), std::vector<std::string>{"--allow-root=" + scratch_.path()});
  }
  // The stored version, below OpenStore, which would refuse.
  std::unique_ptr<storage::RocksStores> Rocks() {
    storage::RocksOptions options;
    options.path = data() + "/db";
    options.temporary_path = data() + "/tmp";
    options.log = [](std::string_view) {};
    auto stores = storage::OpenRocksStores(options);
    EXPECT_TRUE(stores.ok()) << stores.status();
    return *std::move(stores);
  }
  uint32_t Version() {
    return Rocks()->catalog().Get<storage::pb::StoreHeader>(storage::HeaderKey())->format_version();
  }
  void SetVersion(uint32_t version) {
    const auto rocks = Rocks();
    auto header = *rocks->catalog().Get<storage::pb::StoreHeader>(storage::HeaderKey());
    header.set_format_version(version);
    header.set_created_by("a build of next year");
    storage::WriteSet writes;
    writes.Put(storage::HeaderKey(), header);
    ASSERT_TRUE(rocks->catalog().Commit(writes).ok());
  }

  TempDir scratch_;
};

// A number of the last line of a log that has this sentence; -1 if there is none.
double FieldOf(const std::string& log, const std::string& sentence, const std::string& field) {
  double value = -1;
  std::stringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(" " + field + "=");
    if (line.find(sentence) != std::string::npos && at != std::string::npos)
      value = std::stod(line.substr(at + field.size() + 2));
  }
  return value;
}

TEST_F(Start, ANewerDirectoryIsRefusedInWordsAndLeftAsItIs) {
  {
    const auto daemon = Daemon();
    ASSERT_TRUE(daemon->serving()) << daemon->log();
    client::Client client(ClientOf(*daemon));
    ASSERT_TRUE(client.CreateDataset(ImageDataset("kept")).ok());
    daemon->Signal(SIGTERM);
    ASSERT_EQ(daemon->AwaitExit(), 0);
  }
  const uint32_t newer = storage::kFormatVersion + 1;
  SetVersion(newer);
  std::ofstream(data() + "/blobs/unnamed") << "of a kind that this build does not know";
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto daemon = Daemon();
    EXPECT_FALSE(daemon->serving());
    EXPECT_EQ(daemon->AwaitExit(), 1);
    EXPECT_THAT(daemon->log(), HasSubstr(absl::StrCat("has storage format ", newer)));
    EXPECT_THAT(daemon->log(), HasSubstr("made by 'a build of next year'"));
    EXPECT_THAT(daemon->log(), HasSubstr("use a newer build"));
  }
  EXPECT_EQ(Version(), newer);
  EXPECT_TRUE(std::filesystem::exists(data() + "/blobs/unnamed")) << "nothing was swept";

  // Negative control: it is the version, and nothing else, that was refused.
  SetVersion(storage::kFormatVersion);
  const auto daemon = Daemon();
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  EXPECT_TRUE(client.GetDataset("datasets/kept").ok());
  EXPECT_FALSE(std::filesystem::exists(data() + "/blobs/unnamed"));
}

TEST_F(Start, RecoverySaysWhatItFoundAndHowLongItTook) {
  std::string operation;
  {
    const auto daemon = Daemon();
    ASSERT_TRUE(daemon->serving()) << daemon->log();
    EXPECT_EQ(FieldOf(daemon->log(), "data directory open", "swept_files"), 0);
    EXPECT_EQ(FieldOf(daemon->log(), "recovered", "operations"), 0);
    client::ClientOptions options = ClientOf(*daemon);
    options.retry.max_attempts = 1;
    client::Client client(options);
    operation = client.CreatePosterior(PrepareClassifier(client, scratch_.path(), 64, 400))->name();
    EXPECT_FALSE(client
                     .WatchOperation(operation, 0,
                                     [&](const auto& change) {
                                       v1::PosteriorProgress progress;
                                       change.operation().metadata().UnpackTo(&progress);
                                       if (progress.draws_done() > 10) daemon->Signal(SIGKILL);
                                     })
                     .ok());
    ASSERT_EQ(daemon->AwaitExit(), 128 + SIGKILL);
  }
  // What such an end may leave: a file in the making, and one that was not named yet.
  std::ofstream(data() + "/tmp/half-written") << std::string(1000, 'x');
  std::filesystem::create_directories(data() + "/draws/999");
  std::ofstream(data() + "/draws/999/c0-d0-1.draws") << std::string(234, 'x');
  {
    const auto daemon = Daemon();
    ASSERT_TRUE(daemon->serving()) << daemon->log();
    EXPECT_GE(FieldOf(daemon->log(), "data directory open", "swept_files"), 2);
    EXPECT_GE(FieldOf(daemon->log(), "data directory open", "swept_bytes"), 1234);
    EXPECT_GT(FieldOf(daemon->log(), "data directory open", "seconds"), 0);
    EXPECT_EQ(FieldOf(daemon->log(), "recovered", "operations"), 1);
    EXPECT_GE(FieldOf(daemon->log(), "recovered", "seconds"), 0);
    EXPECT_FALSE(std::filesystem::exists(data() + "/draws/999"));
    client::Client client(ClientOf(*daemon));
    WaitUntilDone(client, operation);
    daemon->Signal(SIGTERM);
    EXPECT_EQ(daemon->AwaitExit(), 0);
  }
  // An orderly end leaves nothing to be found.
  const auto daemon = Daemon();
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  EXPECT_EQ(FieldOf(daemon->log(), "data directory open", "swept_files"), 0);
  EXPECT_EQ(FieldOf(daemon->log(), "recovered", "operations"), 0);
}

}  // namespace
}  // namespace bif::testing
