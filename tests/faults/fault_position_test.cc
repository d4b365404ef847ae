// Every call on a file fails once: the first write, the second, and so on until there are no more;
// and likewise every sync, rename, open and so on. The small scenario goes on after the failure,
// and then the store is opened twice: on the directory as it is, and as a power failure would leave
// it.
//
// One position again: BIF_FAULT=write:17:5:once fault_position_test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/faults/scenario_run.h"
#include "tests/faults/store_check.h"

namespace bif::faults {
namespace {

constexpr int kThreads = 2;

// Debian builds RocksDB with its assertions, and some of them fail where a call on a file does. The
// process then ends as if killed, which loses nothing; without assertions the call is an error.
const char* const kKnownAssertions[] = {
    // A compaction that drops everything (after a deletion) cannot write the table that says so.
    "ExtractUserKey(const Slice&): Assertion `internal_key.size() >= kNumInternalBytes'",
    // A table that is being added cannot be read.
    "BlockBasedTableIterator::key() const: Assertion `Valid()'",
};

bool IsKnownAssertion(const std::string& standard_error) {
  return std::any_of(std::begin(kKnownAssertions), std::end(kKnownAssertions),
                     [&](const char* text) { return absl::StrContains(standard_error, text); });
}

struct Broken {
  bool fault_came = false;
  bool hit_known_assertion = false;
  int failures = 0;      // that the scenario was told
  int acknowledged = 0;  // all the same
  std::string found;     // what was violated, if anything
};

// Runs the scenario with a fault, and says what is wrong after it.
Broken Break(const std::string& plan, const std::string& fault, bool trusting = false) {
  ScenarioRun run({.plan = plan, .trusting = trusting, .fault = fault});
  Broken broken;
  broken.fault_came = run.fault_came();
  const History history = run.history();
  broken.failures = static_cast<int>(history.failures.size());
  broken.acknowledged = history.AllAcknowledged();
  if (run.wait_status() != 0) {
    broken.hit_known_assertion = IsKnownAssertion(run.standard_error());
    if (!broken.hit_known_assertion) {
      absl::StrAppend(&broken.found, "the process ended with ", run.wait_status(), ": ",
                      run.standard_error(), "\n");
    }
  }
  // Where the program was told of nothing, the power failure alone is of interest.
  std::vector<bool> endings = {true};
  if (broken.failures > 0) endings.push_back(false);
  for (const bool power_fails : endings) {
    Disk disk = run.DiskAfter(run.events().size());
    if (power_fails) disk.LosePower(Survival::kNothing, 0);
    const std::string copy = run.FreshCopy();
    disk.Write("data", copy);
    const Findings findings = OpenAndCheck(copy, history);
    if (!findings.Clean()) {
      absl::StrAppend(&broken.found,
                      power_fails ? "after a power failure: " : "reopened: ", findings.ToString(),
                      "\n");
    }
  }
  return broken;
}

struct Tally {
  std::mutex mutex;
  int positions = 0, noticed = 0, acknowledged = 0, known_assertions = 0;
};

// Positions first, first + kThreads, ... of one kind of call, until there are no more.
void SweepShare(const std::string& plan, const std::string& call, int error, const std::string& how,
                int first, Tally& tally) {
  for (int n = first;; n += kThreads) {
    const std::string fault = absl::StrCat(call, ":", n, ":", error, ":", how);
    const Broken broken = Break(plan, fault);
    std::lock_guard lock(tally.mutex);
    if (!broken.fault_came) {
      EXPECT_EQ(broken.failures, 0) << "without a fault, nothing fails";
      return;
    }
    EXPECT_EQ(broken.found, "") << "again: BIF_PLAN=" << plan << " BIF_FAULT=" << fault;
    if (how == "short") {
      EXPECT_EQ(broken.failures, 0) << "a short write is gone on with; BIF_FAULT=" << fault;
    }
    ++tally.positions;
    tally.noticed += broken.failures > 0;
    tally.known_assertions += broken.hit_known_assertion;
    tally.acknowledged += broken.acknowledged;
  }
}

// All positions of one kind of call in one plan.
void SweepPlan(const std::string& plan, const std::string& call, int error,
               const std::string& how) {
  Tally tally;
  std::vector<std::thread> threads;
  for (int first = 1; first <= kThreads; ++first) {
    threads.emplace_back([&, first] { SweepShare(plan, call, error, how, first, tally); });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf(
      "%s, %s %s: %d positions, %d of them told to the caller, %d known assertions of RocksDB, "
      "%d acknowledgements\n",
      plan.c_str(), call.c_str(), how.c_str(), tally.positions, tally.noticed,
      tally.known_assertions, tally.acknowledged);
  std::fflush(stdout);
  EXPECT_GT(tally.positions, 0);
  EXPECT_LE(tally.known_assertions, 3);
  EXPECT_GT(tally.acknowledged, tally.positions) << "a run that gets nowhere shows nothing";
}

void Sweep(const std::string& call, int error, const std::string& how) {
  for (const char* plan : {"small", "table"}) SweepPlan(plan, call, error, how);
}

class FaultPosition : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv(kFaultVariable) != nullptr) GTEST_SKIP() << "one position is asked for";
  }
};

TEST_F(FaultPosition, OfWrites) { Sweep("write", EIO, "once"); }
TEST_F(FaultPosition, OfWritesThatAreCutShort) { Sweep("write", 0, "short"); }
TEST_F(FaultPosition, OfAFullDisk) { Sweep("write", ENOSPC, "full"); }
TEST_F(FaultPosition, OfSyncs) { Sweep("sync", EIO, "once"); }
TEST_F(FaultPosition, OfRenamesAndLinks) { Sweep("name", EIO, "once"); }
TEST_F(FaultPosition, OfRemovals) { Sweep("remove", EIO, "once"); }
TEST_F(FaultPosition, OfNewFolders) { Sweep("mkdir", ENOSPC, "once"); }
TEST_F(FaultPosition, OfResizes) { Sweep("resize", ENOSPC, "once"); }
TEST_F(FaultPosition, OfOpens) { Sweep("open", EIO, "once"); }
TEST_F(FaultPosition, OfMappings) { SweepPlan("small", "mmap", ENOMEM, "once"); }
TEST_F(FaultPosition, OfReads) { Sweep("read", EIO, "once"); }

// To repeat a case: the variable names it. Else the seventeenth write fails with EIO.
TEST(OneFault, AskedForByName) {
  const char* asked = std::getenv(kFaultVariable);
  const std::string fault = asked != nullptr ? asked : absl::StrCat("write:17:", EIO, ":once");
  const char* plan = std::getenv("BIF_PLAN");
  EXPECT_EQ(Break(plan != nullptr ? plan : "small", fault).found, "");
}

// The negative control: a program that takes failures for successes is found out.
TEST_F(FaultPosition, AProgramThatIgnoresFailuresIsFoundOut) {
  int found_out = 0;
  for (int n = 20; n < 60; n += 5) {
    found_out +=
        !Break("small", absl::StrCat("write:", n, ":", ENOSPC, ":full"), true).found.empty();
  }
  EXPECT_GT(found_out, 4);
}

}  // namespace
}  // namespace bif::faults
