// The real daemon on a disk that is full to the last byte, amid sampling, importing and asking:
// what needs room is refused in time and in words, what is stored is read as before, and when there
// is room again work goes on in the same process, to the same bits as a twin's that never met the
// end of its disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/error.h"
#include "client/operation_result.h"
#include "tests/crash/contents.h"
#include "tests/crash/ledger.h"
#include "tests/crash/questions.h"
#include "tests/crash/served_daemon.h"
#include "tests/crash/small_disk.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kDiskBytes = 448
                               << 20;  // the daemon wants 320 MiB free after it has refused work
constexpr int kRows = 60;
constexpr uint32_t kBaseDraws = 10;
constexpr uint32_t kAllDraws = 600;
constexpr absl::Duration kInTime = absl::Seconds(20);

class FullDisk : public ::testing::Test {
 protected:
  // The disk comes first: it has to be made while the process has one thread.
  FullDisk() : disk_(scratch_ / "full", kDiskBytes) {
    PrepareBase();
    Copy("base", "full");
    Copy("base", "twin");
    daemon_ = NewDaemon("full");
    daemon_->Start();
  }

  std::unique_ptr<ServedDaemon> NewDaemon(const std::string& name) {
    return std::make_unique<ServedDaemon>(
        scratch_ / name, std::vector<std::string>{"--allow-root=" + scratch_.path()});
  }
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::copy(scratch_ / from, scratch_ / to, std::filesystem::copy_options::recursive);
  }
  client::Client& client() { return daemon_->client(); }  // makes each call once

  void PrepareBase() {
    ServedDaemon daemon(scratch_ / "base", {"--allow-root=" + scratch_.path()});
    daemon.Start();
    client::Client client(ClientOf(daemon.process()));
    v1::CreatePosteriorRequest request =
        PrepareClassifier(client, scratch_.path(), kRows, kBaseDraws);
    request.mutable_settings()->set_steps_between_draws(5);
    posterior_ = SamplePosterior(client, request);
    const auto before = client.ListOperations({});
    ASSERT_TRUE(before.ok()) << before.status();
    for (const auto& operation : before->operations())
      ASSERT_TRUE(client.DeleteOperation(operation.name()).ok());
    daemon.StopInOrder();
  }

  v1::ExtendPosteriorRequest Extension(const std::string& request_id) const {
    v1::ExtendPosteriorRequest extend;
    extend.set_name(posterior_);
    extend.set_draws_per_chain(kAllDraws);
    extend.set_request_id(request_id);
    return extend;
  }

  // All that is stored of the dataset and the posterior, as answers.
  static std::vector<std::string> StoredAnswers(client::Client& client,
                                                const std::string& posterior) {
    std::vector<std::string> ids;
    for (int row = 0; row < kRows; ++row) ids.push_back(std::to_string(row));
    std::vector<std::string> answers;
    for (const auto& answer :
         {TracesDigest(client, posterior, "datasets/train", ids),
          ScoresDigest(client, posterior, "datasets/train", ids),
          DiagnosticsDigest(client, posterior), Ledger::StateOf(client, "datasets/train")})
      answers.push_back(answer.ok() ? *answer : answer.status().ToString());
    return answers;
  }

  // A call that needs room, on a disk that has none.
  template <typename Call>
  void ExpectRefusedInTime(const std::string& what, Call call) {
    const absl::Time start = absl::Now();
    const absl::Status refused = call();
    EXPECT_TRUE(absl::IsResourceExhausted(refused)) << what << ": " << refused;
    EXPECT_FALSE(refused.message().empty()) << what;
    EXPECT_TRUE(client::DetailsOf(refused).retry_delay.has_value())
        << what << " may be asked for again";
    EXPECT_LT(absl::Now() - start, kInTime) << what;  // a bound against hanging, not a measurement
  }
  // Work of every kind is refused, and the daemon is well.
  void ExpectRefusals() {
    disk_.Fill();  // what failed has given its part back
    ASSERT_EQ(disk_.free_bytes(), 0);
    // A small record may still fit into the log that the database has reserved.
    const absl::Status made =
        client().CreateDataset(ImageDataset(absl::StrCat("small-", acknowledged_.size()))).status();
    EXPECT_TRUE(made.ok() || absl::IsResourceExhausted(made)) << made;
    if (made.ok()) acknowledged_.push_back(absl::StrCat("datasets/small-", acknowledged_.size()));
    ExpectRefusedInTime("an import", [&] {
      return client().ImportSamples(ImageImport(scratch_.path(), "train", 5000, 10)).status();
    });
    ExpectRefusedInTime("an extension", [&] {
      v1::ExtendPosteriorRequest extend = Extension("refused");
      extend.set_draws_per_chain(2 * kAllDraws);
      return Refusal(client().ExtendPosterior(extend));
    });
    const auto serving = client().IsServing();
    EXPECT_TRUE(serving.ok() && *serving) << serving.status();
  }
  // What was acknowledged on the full disk is there.
  void ExpectAcknowledged() {
    for (const std::string& dataset : acknowledged_)
      EXPECT_TRUE(client().GetDataset(dataset).ok()) << dataset;
  }
  // Of a call that starts an operation: its own, or that of the operation's end.
  absl::Status Refusal(const absl::StatusOr<google::longrunning::Operation>& operation) {
    if (!operation.ok()) return operation.status();
    return EndOf(operation->name());
  }
  absl::Status EndOf(const std::string& operation) {
    const auto ended = client().WaitOperation(operation, absl::Minutes(2));
    if (!ended.ok()) return ended.status();
    if (!ended->done()) return absl::DeadlineExceededError(operation + " does not end");
    return client::StatusFromRpc(ended->error());
  }

  // Against the twin, which does the same on an ordinary disk.
  void ExpectTheTwinsBits(const std::function<void(client::Client&)>& work) {
    ExpectAcknowledged();
    const std::vector<std::string> answers = StoredAnswers(client(), posterior_);
    EXPECT_THAT(daemon_->process().log(), Not(HasSubstr("incident"))) << "no error was internal";
    daemon_->StopInOrder();
    const auto twin = NewDaemon("twin");
    twin->Start();
    work(twin->client());
    EXPECT_EQ(answers, StoredAnswers(twin->client(), posterior_));
    twin->StopInOrder();
    EXPECT_THAT(Differences(ContentsOf(daemon_->data_directory()).posteriors,
                            ContentsOf(twin->data_directory()).posteriors),
                IsEmpty());
  }

  TempDir scratch_;
  SmallDisk disk_;
  std::unique_ptr<ServedDaemon> daemon_;
  std::string posterior_;
  std::vector<std::string> acknowledged_;  // datasets that were made on the full disk
};

TEST_F(FullDisk, SamplingEndsInWordsAndGoesOnWhenThereIsRoomAgain) {
  Ledger ledger;
  const auto ask = [this](client::Client& client) {
    return client.ExtendPosterior(Extension("extend"));
  };
  const auto operation = ask(client());
  ASSERT_TRUE(operation.ok()) << operation.status();
  ledger.Started("extend", operation->name(), ask);
  ASSERT_TRUE(client()
                  .WatchOperation(operation->name(), 0,
                                  [&](const v1::WatchOperationResponse& change) {
                                    v1::PosteriorProgress progress;
                                    change.operation().metadata().UnpackTo(&progress);
                                    if (progress.draws_done() > 4 * kBaseDraws) disk_.Fill();
                                  })
                  .ok());
  disk_.Fill();
  const absl::Status end = EndOf(operation->name());
  EXPECT_TRUE(absl::IsResourceExhausted(end)) << end;
  EXPECT_THAT(std::string(end.message()), ::testing::AnyOf(HasSubstr("free"), HasSubstr("space")));

  const auto posterior = client().GetPosterior(posterior_);
  ASSERT_TRUE(posterior.ok()) << posterior.status();
  EXPECT_LT(posterior->draws_per_chain(), kAllDraws) << "the disk was full before the end";
  const std::vector<std::string> stored = StoredAnswers(client(), posterior_);
  ExpectRefusals();
  EXPECT_EQ(StoredAnswers(client(), posterior_), stored) << "what is stored is read as before";

  disk_.GiveBack();
  const auto again = client().ExtendPosterior(Extension("extend again"));
  ASSERT_TRUE(again.ok()) << again.status();
  const absl::Status went_on = EndOf(again->name());
  ASSERT_TRUE(went_on.ok()) << went_on;
  EXPECT_EQ(ask(client())->name(), operation->name()) << "the first request id keeps its answer";
  EXPECT_TRUE(absl::IsResourceExhausted(EndOf(operation->name())));

  // What ended has ended after a kill too: nothing runs a second time.
  daemon_->Kill();
  daemon_->Start();
  EXPECT_THAT(ledger.Check(client(), false), IsEmpty());
  EXPECT_TRUE(absl::IsResourceExhausted(EndOf(operation->name())));
  EXPECT_TRUE(EndOf(again->name()).ok());
  ExpectTheTwinsBits([this](client::Client& twin) {
    WaitUntilDone(twin, twin.ExtendPosterior(Extension("extend"))->name());
  });
}

// An import is on disk as a whole or not at all, wherever the end of the disk comes.
TEST_F(FullDisk, AnImportThatMeetsTheEndOfTheDiskLeavesNothingAndIsTakenLater) {
  constexpr int kImported = 200'000;
  constexpr int kDatasets = 8;
  const auto name = [](int i) { return absl::StrCat("large-", i); };
  for (int i = 0; i < kDatasets; ++i)
    ASSERT_TRUE(client().CreateDataset(ImageDataset(name(i))).ok());
  const auto import_of = [&](int i) {
    v1::ImportSamplesRequest import = ImageImport(scratch_.path(), name(i), 0, kImported);
    import.set_request_id(absl::StrCat("import ", i));
    return import;
  };
  // What the database's log has reserved on the disk is used first, so the end may come a dataset
  // or two later.
  const int64_t used = disk_.used_bytes();
  absl::Status refused;
  int last = -1;  // to be imported
  std::thread importing([&] {
    while (refused.ok() && last + 1 < kDatasets)
      refused = client().ImportSamples(import_of(++last)).status();
  });
  while (disk_.used_bytes() == used) std::this_thread::yield();  // until it has written something
  disk_.Fill();
  importing.join();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  for (int i = 0; i < kDatasets; ++i) {
    EXPECT_EQ(client().GetDataset("datasets/" + name(i))->samples(), i < last ? kImported : 0) << i;
  }
  const std::vector<std::string> stored = StoredAnswers(client(), posterior_);
  ExpectRefusals();
  EXPECT_EQ(StoredAnswers(client(), posterior_), stored);

  disk_.GiveBack();
  const auto imported = client().ImportSamples(import_of(last));
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->imported(), kImported);
  const auto digest = Ledger::StateOf(client(), "datasets/" + name(last));
  ASSERT_TRUE(digest.ok()) << digest.status();

  daemon_->Kill();
  daemon_->Start();
  EXPECT_EQ(*Ledger::StateOf(client(), "datasets/" + name(last)), *digest)
      << "nothing acknowledged is lost";
  ExpectTheTwinsBits([&](client::Client& twin) {
    ASSERT_TRUE(twin.CreateDataset(ImageDataset(name(last))).ok());
    ASSERT_TRUE(twin.ImportSamples(import_of(last)).ok());
    EXPECT_EQ(*Ledger::StateOf(twin, "datasets/" + name(last)), *digest);
  });
}

// A question about stored samples is answered; one about a new sample too, or it is refused; and
// once there is room it is answered, and the answer kept.
TEST_F(FullDisk, StoredSamplesAreAnsweredAndNewOnesWhenThereIsRoomAgain) {
  v1::AttributeRequest stored;
  stored.set_posterior(posterior_);
  stored.mutable_queries()->set_dataset("datasets/train");
  stored.mutable_queries()->add_sample_ids("3");
  const auto before = client().Attribute(stored);
  ASSERT_TRUE(before.ok()) << before.status();
  const v1::AttributeRequest fresh = AskAboutNewImage(posterior_, 17);
  std::atomic<bool> stop = false;
  int answered = 0;
  std::vector<absl::Status> refusals;
  std::thread asking([&] {  // new images, one after the other, until the disk has been full
    for (int image = 100; !stop || image < 120; ++image) {
      const auto answer = client().Attribute(AskAboutNewImage(posterior_, image));
      if (answer.ok()) {
        ++answered;
      } else {
        refusals.push_back(answer.status());
      }
    }
  });
  disk_.Fill();
  for (int i = 0; i < 20; ++i) {
    const auto now = client().Attribute(stored);
    EXPECT_TRUE(now.ok()) << now.status();
    if (now.ok()) {
      EXPECT_EQ(now->rankings(0).SerializeAsString(), before->rankings(0).SerializeAsString());
    }
  }
  stop = true;
  asking.join();
  for (const absl::Status& refusal : refusals)
    EXPECT_TRUE(absl::IsResourceExhausted(refusal)) << refusal;
  EXPECT_GT(answered + static_cast<int>(refusals.size()), 0);
  ExpectRefusals();

  disk_.GiveBack();
  const auto answer = client().Attribute(fresh);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto again = client().Attribute(fresh);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->rows_evaluated(), 0u) << "its trace was kept";
  EXPECT_EQ(again->rankings(0).SerializeAsString(), answer->rankings(0).SerializeAsString());
  ExpectTheTwinsBits([](client::Client&) {});
}

TEST_F(FullDisk, AStartOnAFullDiskIsRefusedInWordsAndHarmsNothing) {
  const std::vector<std::string> stored = StoredAnswers(client(), posterior_);
  daemon_->StopInOrder();
  disk_.Fill();
  {
    DaemonProcess starting(daemon_->data_directory(), {});
    if (starting.serving()) {  // it needed no room
      starting.Kill();
    } else {
      EXPECT_EQ(starting.AwaitExit(), 1);
      EXPECT_THAT(starting.log(), HasSubstr("o space"));
    }
  }
  disk_.GiveBack();
  daemon_->Start();
  EXPECT_EQ(StoredAnswers(client(), posterior_), stored);
}

// Negative control: the disk is full where it says so, and not elsewhere.
TEST(SmallDiskIsFull, ToTheLastByteAndNoLonger) {
  TempDir scratch;
  SmallDisk disk(scratch / "disk", 8 << 20);
  const auto write = [&](const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    return static_cast<bool>(file << std::string(8192, 'x') << std::flush);
  };
  EXPECT_TRUE(write(disk.path() + "/before"));
  disk.Fill();
  EXPECT_EQ(disk.free_bytes(), 0);
  EXPECT_FALSE(write(disk.path() + "/full"));
  EXPECT_TRUE(write(scratch / "elsewhere"));
  disk.GiveBack();
  EXPECT_TRUE(write(disk.path() + "/after"));
}

}  // namespace
}  // namespace bif::testing
