// Power failures at any moment of what the daemon does with its data directory.
//
// Each seed is a run of the scenario, whose calls on files are written down; from the journal the
// model of a disk (disk.h) gives what lies there after a failure at some moment, and the store is
// opened on that. One seed again: BIF_SEED=17 power_loss_test. The seed gives the operations and
// the moment; RocksDB's threads may order their calls anew.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "tests/faults/scenario_run.h"
#include "tests/faults/store_check.h"
#include "tests/support/must.h"

namespace bif::faults {
namespace {

constexpr uint64_t kSeeds = 50;

struct Failure {
  History history;  // when it came
  Findings findings;
};

// The power fails after `moment` calls.
Failure FailAt(ScenarioRun& run, size_t moment, Survival survival, uint64_t seed,
               Lie lie = Lie::kNone) {
  Disk disk = run.DiskAfter(moment, lie);
  Failure failure;
  failure.history = run.HistoryOn(disk);
  disk.LosePower(survival, seed);
  const std::string copy = run.FreshCopy();
  disk.Write("data", copy);
  failure.findings = OpenAndCheck(copy, failure.history);
  std::printf("  after call %zu of %zu, %d acknowledged, survival %d: %s\n", moment,
              run.events().size(), failure.history.AllAcknowledged(), static_cast<int>(survival),
              failure.findings.Clean() ? "all there" : failure.findings.ToString().c_str());
  return failure;
}

TEST(PowerLoss, LosesNothingThatWasAcknowledged) {
  const char* one = std::getenv("BIF_SEED");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const uint64_t end = one != nullptr ? first + 1 : first + kSeeds;
  std::map<std::string, int> acknowledged;
  int at_failures = 0;
  for (uint64_t seed = first; seed < end; ++seed) {
    std::printf("seed %lu\n", static_cast<unsigned long>(seed));
    ScenarioRun run({.plan = "random", .seed = seed});
    ASSERT_EQ(run.wait_status(), 0);
    std::mt19937_64 random(seed);
    // Once anywhere, with nothing or a part of the unsynced left; once late, so that there is much
    // to lose; and once as kill -9 leaves it.
    const size_t calls = run.events().size();
    const struct {
      size_t moment;
      Survival survival;
    } failures[] = {{1 + random() % calls, Survival::kNothing},
                    {1 + random() % calls, Survival::kByChance},
                    {calls - random() % (calls / 3), Survival::kByChance},
                    {1 + random() % calls, Survival::kEverything}};
    for (const auto& [moment, survival] : failures) {
      const Failure failure = FailAt(run, moment, survival, random());
      EXPECT_TRUE(failure.findings.Clean()) << "again: BIF_SEED=" << seed << "\n"
                                            << failure.findings.ToString();
      at_failures += failure.history.AllAcknowledged();
      for (const auto& [verb, count] : failure.history.acknowledged) acknowledged[verb] += count;
    }
  }
  if (one != nullptr) return;
  EXPECT_GT(at_failures, 50 * static_cast<int>(kSeeds)) << "too little was at stake";
  for (const char* verb : {"rows", "segment", "program", "record", "counter", "delete-rows",
                           "erase-rows", "drop-posterior", "drop-dataset"}) {
    EXPECT_GT(acknowledged[verb], 20) << verb << " was hardly put to the test";
  }
}

// Where a file's size reached the disk and its last data did not, zeros stand. RocksDB's log then
// ends in a damaged record, which cannot be told from a flipped bit: the directory may be refused,
// in words, but nothing is lost without a word.
TEST(PowerLoss, ThatLeavesZerosLosesNothingWithoutAWord) {
  int refused = 0, opened = 0;
  for (uint64_t seed = 100; seed < 110; ++seed) {
    ScenarioRun run({.plan = "random", .seed = seed});
    std::mt19937_64 random(seed);
    for (int i = 0; i < 3; ++i) {
      const size_t moment = 1 + random() % run.events().size();
      const Findings findings =
          FailAt(run, moment, Survival::kByChanceWithZeros, random()).findings;
      EXPECT_EQ(findings.violations, std::vector<std::string>()) << "seed " << seed;
      EXPECT_TRUE(findings.refused.ok() || absl::IsDataLoss(findings.refused)) << findings.refused;
      (findings.refused.ok() ? opened : refused) += 1;
    }
  }
  std::printf("%d opened, %d refused\n", opened, refused);
  EXPECT_GT(opened, refused);
}

// The journal misses no call: what the model holds after all of it is what lies in the directory.
TEST(PowerLoss, JournalTellsAllThatHappened) {
  for (const char* plan : {"small", "table"}) {
    const ScenarioRun run({.plan = plan});
    std::map<std::string, std::string> on_disk;
    for (const std::string& name : Must(ListFilesRecursively(run.data_directory())))
      on_disk[name] = Must(ReadFile(run.data_directory() + "/" + name));
    EXPECT_GT(on_disk.size(), 10u);
    EXPECT_TRUE(run.DiskAfter(run.events().size()).Files("data") == on_disk);
  }
}

// The negative controls: on a disk that says "synced" and is not, acknowledged data is lost, and
// that is noticed.
void ExpectLosses(Lie lie) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    ScenarioRun run({.plan = "random", .seed = seed});
    for (int third = 1; third <= 3; ++third) {
      const size_t moment = run.events().size() * static_cast<size_t>(third) / 3;
      lost += !FailAt(run, moment, Survival::kNothing, 0, lie).findings.Clean();
    }
  }
  EXPECT_EQ(lost, 9);
}
TEST(PowerLoss, OfADiskThatIgnoresSyncsOfFilesIsNoticed) { ExpectLosses(Lie::kIgnoresFileSyncs); }
TEST(PowerLoss, OfADiskThatIgnoresSyncsOfFoldersIsNoticed) {
  ExpectLosses(Lie::kIgnoresDirectorySyncs);
}

}  // namespace
}  // namespace bif::faults
