// kill -9 of the real daemon at random moments, while clients bring data, sample, trace, ask,
// extend, cancel and delete. What was acknowledged has to be there after every restart, operations
// have to end once, and everything that was computed has to be what another daemon computes that
// nobody kills.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/crash/contents.h"
#include "tests/crash/extending_lane.h"
#include "tests/crash/questions.h"
#include "tests/crash/sampling_lane.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kSamplingLanes = 2;
constexpr int kBaseRows = 80;
constexpr uint32_t kBaseDraws = 10;

// What a run has to have met to say anything.
struct Traffic {
  int kills = 0;
  int kills_amid_operations = 0;  // that had been acknowledged, and had not ended
  int lost_calls = 0;
  int operations = 0;  // that ended
  int rounds = 0;
  int resources = 0;  // datasets and posteriors that were looked for after each restart
  int deleted = 0;

  // A sentence for each that there was too little of, of a run of so many cycles.
  std::vector<std::string> Lacks(int cycles) const {
    std::vector<std::string> lacks;
    const auto least = [&lacks](const char* what, int there, int wanted) {
      if (there < wanted)
        lacks.push_back(absl::StrCat(what, ": ", there, ", of at least ", wanted));
    };
    least("kills", kills, cycles);
    least("kills amid operations", kills_amid_operations, cycles / 5);
    least("lost calls", lost_calls, cycles / 5);
    least("operations", operations, 20);
    least("rounds", rounds, (kSamplingLanes + 1) * Lane::kFewestRounds);
    least("resources", resources, 4);
    least("deleted", deleted, 1);
    return lacks;
  }
};

class Kill : public ::testing::Test {
 protected:
  Kill() { PrepareBase(); }

  std::string folder() const { return scratch_.path(); }
  std::vector<std::string> flags() const { return {"--allow-root=" + scratch_.path()}; }
  // Both runs start from copies of one directory, in which a posterior of several chains has been
  // tuned.
  std::unique_ptr<ServedDaemon> DaemonOnCopy(const std::string& name) {
    std::filesystem::copy(scratch_ / "base", scratch_ / name,
                          std::filesystem::copy_options::recursive);
    return std::make_unique<ServedDaemon>(scratch_ / name, flags());
  }
  std::unique_ptr<SamplingLane> NewSamplingLane(ServedDaemon& daemon, Ledger& ledger, uint64_t seed,
                                                int number) {
    return std::make_unique<SamplingLane>(daemon, ledger, seed, number, folder(), checkpoint_);
  }
  std::unique_ptr<ExtendingLane> NewExtendingLane(ServedDaemon& daemon, Ledger& ledger,
                                                  uint64_t seed, int number) {
    return std::make_unique<ExtendingLane>(daemon, ledger, seed, number, posterior_, kBaseDraws);
  }

  void PrepareBase() {
    ServedDaemon daemon(scratch_ / "base", flags());
    daemon.Start();
    client::Client client(ClientOf(daemon.process()));
    v1::CreatePosteriorRequest request = PrepareClassifier(client, folder(), kBaseRows, kBaseDraws);
    request.mutable_settings()->set_chains(4);
    request.mutable_settings()->set_steps_between_draws(20);
    checkpoint_ = request.checkpoint();
    posterior_ = SamplePosterior(client, request);
    // Operations that were there before belong to nobody's ledger.
    const auto before = client.ListOperations({});
    ASSERT_TRUE(before.ok()) << before.status();
    for (const auto& operation : before->operations())
      ASSERT_TRUE(client.DeleteOperation(operation.name()).ok());
    daemon.StopInOrder();
  }

  TempDir scratch_;
  std::string checkpoint_;
  std::string posterior_;
};

// Lanes on threads of their own; an exception of one is a failure of the test, and closes the
// daemon to the others.
class Threads {
 public:
  explicit Threads(ServedDaemon& daemon) : daemon_(daemon) {}
  ~Threads() {
    if (!threads_.empty()) daemon_.Close();
    Join();
  }
  void Run(Lane& lane, int rounds) {
    threads_.emplace_back([this, &lane, rounds] {
      try {
        lane.Run(rounds);
      } catch (const NobodyServes&) {  // because another lane, or the test, has failed
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
        failed_ = true;
        daemon_.Close();
      }
    });
  }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  bool failed() const { return failed_; }

 private:
  ServedDaemon& daemon_;
  std::vector<std::thread> threads_;
  std::atomic<bool> failed_ = false;
};

TEST_F(Kill, NothingAcknowledgedIsLostOrDoneTwiceAndNoBitDiffers) {
  const uint64_t seed = SeedOfRun();
  SCOPED_TRACE(absl::StrCat("BIF_CRASH_SEED=", seed));
  const int cycles = FromEnvironment("BIF_CRASH_CYCLES", 25);
  Choices choices(seed, ~uint64_t{0});
  Ledger ledger;
  Traffic traffic;
  const auto killed = DaemonOnCopy("killed");
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int i = 0; i < kSamplingLanes; ++i)
    lanes.push_back(NewSamplingLane(*killed, ledger, seed, i));
  auto extending = NewExtendingLane(*killed, ledger, seed, kSamplingLanes);
  ExtendingLane* const extending_lane = extending.get();
  lanes.push_back(std::move(extending));

  Threads threads(*killed);
  for (const auto& lane : lanes) threads.Run(*lane, 0);
  for (int cycle = 0; cycle < cycles && !threads.failed(); ++cycle) {
    if (choices.Between(0, 4) == 0) {
      killed->KillWhileStarting(choices.UpTo(absl::Milliseconds(1200)));
    } else {
      killed->Start();
      ASSERT_THAT(ledger.Check(killed->client(), false), IsEmpty()) << "after restart " << cycle;
      killed->LetIn();
      ASSERT_TRUE(killed->AwaitAnswers(choices.Between(0, 12))) << killed->process().log();
      absl::SleepFor(choices.UpTo(absl::Milliseconds(150)));  // the moment that was drawn
      traffic.kills_amid_operations += ledger.unfinished() > 0 ? 1 : 0;
      killed->Kill();
    }
    ++traffic.kills;
  }
  killed->Start();
  EXPECT_THAT(ledger.Check(killed->client(), false), IsEmpty());
  killed->LetIn();
  for (const auto& lane : lanes) lane->Stop();
  threads.Join();
  ASSERT_FALSE(threads.failed());
  EXPECT_THAT(ledger.Check(killed->client(), true), IsEmpty()) << "when all was answered";
  killed->StopInOrder();
  const Contents contents = ContentsOf(killed->data_directory());
  EXPECT_EQ(contents.swept_files, 0) << "nothing was left that no record names";

  Ledger twin_ledger;
  const auto twin = DaemonOnCopy("twin");
  twin->Start();
  twin->LetIn();
  for (size_t i = 0; i + 1 < lanes.size(); ++i) {
    NewSamplingLane(*twin, twin_ledger, seed, static_cast<int>(i))->Run(lanes[i]->rounds());
  }
  // The posterior that was made longer many times, in one go.
  v1::ExtendPosteriorRequest extend;
  extend.set_name(posterior_);
  extend.set_draws_per_chain(extending_lane->draws());
  WaitUntilDone(twin->client(), twin->client().ExtendPosterior(extend)->name());
  twin->StopInOrder();
  EXPECT_THAT(Differences(ledger.answers(), twin_ledger.answers()), IsEmpty());
  EXPECT_THAT(Differences(contents.posteriors, ContentsOf(twin->data_directory()).posteriors),
              IsEmpty());

  traffic.operations = static_cast<int>(ledger.ended());
  traffic.resources = static_cast<int>(ledger.resources());
  traffic.deleted = static_cast<int>(ledger.gone());
  for (const auto& lane : lanes) {
    traffic.lost_calls += lane->lost_calls();
    traffic.rounds += lane->rounds();
  }
  EXPECT_THAT(traffic.Lacks(cycles), IsEmpty());
  std::printf(
      "%d kills, %d amid operations; %d calls lost their daemon; %d operations in %d rounds, %u "
      "draws a chain of the longest; %d resources, %d of them deleted\n",
      traffic.kills, traffic.kills_amid_operations, traffic.lost_calls, traffic.operations,
      traffic.rounds, extending_lane->draws(), traffic.resources, traffic.deleted);
}

TEST(KillTraffic, ARunInWhichNothingHappenedIsNoEvidence) {
  EXPECT_FALSE(Traffic{}.Lacks(25).empty());
  EXPECT_FALSE((Traffic{25, 25, 25, 100, 9, 0, 0}).Lacks(25).empty());
  EXPECT_TRUE((Traffic{25, 25, 25, 100, 9, 9, 9}).Lacks(25).empty());
}

// Negative controls: a daemon that does lose and repeat things, played by one whose directory is
// exchanged.
TEST_F(Kill, ADaemonThatForgetsOrRepeatsIsFoundOut) {
  Ledger ledger;
  auto daemon = DaemonOnCopy("forgetful");
  daemon->Start();
  daemon->LetIn();
  NewSamplingLane(*daemon, ledger, 1, 0)->Run(1);
  EXPECT_THAT(ledger.Check(daemon->client(), true), IsEmpty());

  // An operation that nobody asked for.
  v1::ExtendPosteriorRequest extend;
  extend.set_name(posterior_);
  extend.set_draws_per_chain(kBaseDraws + 1);
  WaitUntilDone(daemon->client(), daemon->client().ExtendPosterior(extend)->name());
  EXPECT_THAT(ledger.Check(daemon->client(), true), Contains(HasSubstr("nobody asked for")));
  daemon->Kill();
  const auto grown = ContentsOf(daemon->data_directory()).posteriors;

  // The directory as it was before: every acknowledged commit since then is lost.
  std::filesystem::remove_all(daemon->data_directory());
  daemon = DaemonOnCopy("forgetful");
  EXPECT_THAT(Differences(grown, ContentsOf(daemon->data_directory()).posteriors),
              Contains(HasSubstr("only the first has")))
      << "a draw that another directory lacks";
  daemon->Start();
  EXPECT_THAT(ledger.Check(daemon->client(), true), Contains(HasSubstr("is lost")));
}

TEST(LedgerNotices, TwoOperationsOfOneRequestAndTwoAnswersToOneQuestion) {
  Ledger ledger;
  ledger.Started("request", "operations/1", {});
  ledger.Started("request", "operations/2", {});
  ledger.Answer("question", "yes");
  ledger.Answer("question", "no");
  EXPECT_EQ(ledger.faults().size(), 2u);
}

}  // namespace
}  // namespace bif::testing
