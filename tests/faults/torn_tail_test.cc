// Torn writes: a crash amid the last write to a file loses what that write was to acknowledge, and
// nothing else. And files that are cut though they were acknowledged: DATA_LOSS that names them.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "tests/faults/scenario_run.h"
#include "tests/faults/store_check.h"
#include "tests/support/must.h"
#include "tests/support/test_directory.h"

namespace bif::faults {
namespace {

class TornTail : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { run_ = new ScenarioRun({.plan = "small"}); }
  static void TearDownTestSuite() { delete run_; }

  // The last two writes to files whose path holds `kind`, as places in the journal.
  static std::vector<size_t> LastWrites(const std::string& kind) {
    std::map<int, std::string> paths;
    std::vector<size_t> writes;
    for (size_t i = 0; i < run_->events().size(); ++i) {
      const Event& event = run_->events()[i];
      if (event.kind == EventKind::kOpen) paths[event.fd] = event.path;
      if (event.kind == EventKind::kWrite && absl::StrContains(paths[event.fd], kind))
        writes.push_back(i);
    }
    if (writes.size() > 2) writes.erase(writes.begin(), writes.end() - 2);
    return writes;
  }

  // What is found if the process died when `bytes` of the write had been done.
  static Findings CheckTornAt(size_t write, size_t bytes, const History* other = nullptr) {
    Disk disk = run_->DiskAfter(write);
    Event torn = run_->events()[write];
    torn.data.resize(bytes);
    disk.Apply(torn);
    const History history = other != nullptr ? *other : run_->HistoryOn(disk);
    const std::string copy = run_->FreshCopy();
    disk.Write("data", copy);
    return OpenAndCheck(copy, history);
  }

  static ScenarioRun* run_;
};
ScenarioRun* TornTail::run_ = nullptr;

TEST_F(TornTail, LosesOnlyWhatWasNotAcknowledged) {
  for (const char* kind : {".log", "MANIFEST-", ".dbtmp", ".sst", ".part"}) {
    int cuts = 0;
    for (const size_t write : LastWrites(kind)) {
      const size_t bytes = run_->events()[write].data.size();
      // Logs at every length: they are read. Of the others nobody reads more than that they are
      // there: some lengths.
      const bool is_log = absl::StrContains(kind, ".log") || absl::StrContains(kind, "MANIFEST");
      const size_t step = is_log ? 1 : 1 + bytes / 16;
      for (size_t length = 0; length <= bytes; length += step, ++cuts) {
        const Findings findings = CheckTornAt(write, length);
        EXPECT_TRUE(findings.Clean()) << kind << " cut after " << length << " of " << bytes << "\n"
                                      << findings.ToString();
      }
    }
    std::printf("%s: %d cuts\n", kind, cuts);
  }
}

// The negative control: the same tear is a loss if the write had been acknowledged.
TEST_F(TornTail, OfAnAcknowledgedCommitIsFoundOut) {
  const std::vector<size_t> writes = LastWrites(".log");
  const size_t last = writes.back();
  const History all = run_->history();
  EXPECT_TRUE(CheckTornAt(last, run_->events()[last].data.size(), &all).Clean());
  EXPECT_FALSE(CheckTornAt(last, run_->events()[last].data.size() - 1, &all).Clean());
}

// All lengths of a draw file and of a state file.
TEST_F(TornTail, OfAnAcknowledgedDrawOrStateIsDataLossAndNamesTheFile) {
  const std::string copy = run_->FreshCopy();
  std::filesystem::copy(run_->data_directory(), copy, std::filesystem::copy_options::recursive);
  storage::StoreOptions options;
  options.root = copy;
  const auto store = Must(storage::OpenStore(options));
  const auto record =
      Must(store->catalog().Get<storage::pb::PosteriorRecord>(storage::PosteriorKey("1")));
  const auto draws = Must(store->catalog().Scan<storage::pb::DrawRecord>(storage::DrawPrefix(1)));
  const storage::pb::FileRecord state = record.chains(1).states(0);
  const auto expect_named = [](const absl::Status& status, const std::string& name, int64_t bytes) {
    EXPECT_TRUE(absl::IsDataLoss(status) && absl::StrContains(status.message(), name))
        << name << " of " << bytes << " bytes: " << status;
  };
  const storage::pb::DrawRecord& draw = draws.back().second;
  for (auto bytes = static_cast<int64_t>(draw.file().bytes()) - 1; bytes >= 0; --bytes) {
    storage::CutFile(absl::StrCat(copy, "/draws/1/", draw.file().name()), bytes);
    for (const auto& [key, other] : draws) {
      if (other.file().name() == draw.file().name())
        expect_named(store->draws().ReadDraw(1, other).status(), draw.file().name(), bytes);
    }
  }
  for (auto bytes = static_cast<int64_t>(state.bytes()) - 1; bytes >= 0; --bytes) {
    storage::CutFile(absl::StrCat(copy, "/draws/1/", state.name()), bytes);
    expect_named(store->draws().ReadState(1, state).status(), state.name(), bytes);
  }
}

// Of a blob, which is verified as a whole.
TEST_F(TornTail, OfAnAcknowledgedBlobIsDataLossAndNamesIt) {
  const std::string copy = run_->FreshCopy();
  std::filesystem::copy(run_->data_directory(), copy, std::filesystem::copy_options::recursive);
  storage::StoreOptions options;
  options.root = copy;
  const auto store = Must(storage::OpenStore(options));
  const auto program =
      Must(store->catalog().Get<storage::pb::ProgramRecord>(storage::ProgramKey("1")));
  const std::string path = store->blobs().PathOf(program.blob());
  std::filesystem::permissions(path, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  for (int64_t bytes = Must(FileSize(path)) - 1; bytes >= 0; --bytes) {
    storage::CutFile(path, bytes);
    const absl::Status verified = store->blobs().Verify(program.blob());
    EXPECT_TRUE(absl::IsDataLoss(verified) && absl::StrContains(verified.message(), program.blob()))
        << verified;
  }
}

}  // namespace
}  // namespace bif::faults
