// The same small work at a fixed rate, again and again, in the real daemon: what it holds must not
// grow. BIF_SOAK_CYCLES and BIF_SOAK_PER_SECOND make it longer and faster, BIF_SOAK_TRACE=1 prints
// every sample.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/crash/process_usage.h"
#include "tests/crash/replay.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr int kRows = 48;
constexpr int kCyclesPerSecond = 4;
constexpr int kWarmUpCycles = 40;  // caches fill, and the allocator finds its size
constexpr int kCycles = 120;

// What a cycle may leave behind, for the negative controls.
enum class Leave { kNothing, kPosteriors, kConnections };

class Soak : public ::testing::Test {
 protected:
  Soak()
      : daemon_(scratch_ / "data",
                {"--allow-root=" + scratch_.path(), "--memory-mib=64", "--log-level=warning"}),
        client_(ClientOf(daemon_)),
        request_(PrepareClassifier(client_, scratch_.path(), kRows, 20)) {
    request_.mutable_settings()->set_chains(1);  // nothing to tune, which would take half a second
  }

  // Import, sample, ask, delete.
  void Cycle(int number, Leave leave) {
    if (leave == Leave::kConnections) return Connect();
    const std::string id = absl::StrCat("cycle-", number);
    Must(client_.CreateDataset(ImageDataset(id)).status());
    const v1::ImportSamplesRequest import = ImageImport(scratch_.path(), id, number * 7, kRows);
    Must(client_.ImportSamples(import).status());
    for (const auto& file : import.idx().columns()) std::filesystem::remove(file.path());
    v1::CreatePosteriorRequest request = request_;
    request.set_dataset("datasets/" + id);
    const std::string posterior = SamplePosterior(client_, request);
    Must(client_.Attribute(AskAboutNewImage(posterior, number)).status());
    v1::ScoreMatrixRequest scores;
    scores.set_posterior(posterior);
    scores.mutable_queries()->set_dataset("datasets/" + id);
    Must(client_.ScoreMatrix(scores, [](const auto&) { return absl::OkStatus(); }));
    if (leave == Leave::kPosteriors) return;
    Must(client_.DeletePosterior(posterior));
    Must(client_.DeleteDataset("datasets/" + id));
    const auto operations = client_.ListOperations({});
    Must(operations.status());
    for (const auto& operation : operations->operations())
      Must(client_.DeleteOperation(operation.name()));
  }

  // One more, that no other channel of this process shares.
  void Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    left_.push_back(grpc::CreateCustomChannel(daemon_.address(), grpc::InsecureChannelCredentials(),
                                              arguments));
    if (!left_.back()->WaitForConnected(absl::ToChronoTime(absl::Now() + absl::Seconds(30))))
      throw std::runtime_error("no connection");
  }

  // A sample for every third cycle after the warm-up.
  std::vector<Usage> Run(int warm_up, int cycles, absl::Duration period, Leave leave) {
    std::vector<Usage> samples;
    const absl::Time start = absl::Now();
    for (int cycle = 0; cycle < warm_up + cycles; ++cycle) {
      absl::SleepFor(start + cycle * period - absl::Now());  // the rate, not to wait for something
      Cycle(next_cycle_++, leave);
      if (cycle < warm_up || cycle % 3 != 0) continue;
      samples.push_back(UsageOf(daemon_.pid(), scratch_ / "data"));
      if (FromEnvironment("BIF_SOAK_TRACE", 0) != 0) Print(samples.back());
    }
    std::printf("%d cycles in %.1f s\n", warm_up + cycles,
                absl::ToDoubleSeconds(absl::Now() - start));
    Print(samples.front());
    Print(samples.back());
    return samples;
  }

  static void Must(const absl::Status& status) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
  }
  static void Print(const Usage& usage) {
    std::printf(
        "%.1f MiB, %d descriptors, %d of %d threads; %.1f MiB in %d files and the database\n",
        static_cast<double>(usage.resident_bytes) / (1 << 20), static_cast<int>(usage.descriptors),
        static_cast<int>(usage.threads), static_cast<int>(usage.all_threads),
        static_cast<double>(usage.disk_bytes) / (1 << 20), static_cast<int>(usage.files));
    std::fflush(stdout);
  }

  TempDir scratch_;
  DaemonProcess daemon_;
  client::Client client_;
  v1::CreatePosteriorRequest request_;
  int next_cycle_ = 0;
  std::vector<std::shared_ptr<grpc::Channel>> left_;
};

TEST_F(Soak, MemoryDescriptorsThreadsAndDiskStayFlat) {
  const absl::Duration period =
      absl::Seconds(1) / FromEnvironment("BIF_SOAK_PER_SECOND", kCyclesPerSecond);
  const int cycles = FromEnvironment("BIF_SOAK_CYCLES", kCycles);
  const int warm_up = std::max(kWarmUpCycles, cycles / 3);
  EXPECT_THAT(Growth(Run(warm_up, cycles, period, Leave::kNothing)), IsEmpty());
}

// Negative controls on the real daemon: clients who leave something behind with every cycle.
TEST_F(Soak, WhatIsLeftBehindIsFound) {
  const absl::Duration at_once = absl::ZeroDuration();
  EXPECT_THAT(Growth(Run(3, 27, at_once, Leave::kPosteriors)), Contains(StartsWith("files grew")));
  EXPECT_THAT(Growth(Run(3, 27, at_once, Leave::kConnections)),
              Contains(StartsWith("descriptors grew")));
}

TEST(Growth, IsWhatGoesOnAndNotASinglePeak) {
  constexpr int64_t kMib = int64_t{1} << 20;
  std::vector<Usage> samples(30, Usage{200 * kMib, 40, 30, 45, 10 * kMib, 3});
  EXPECT_THAT(Growth(samples), IsEmpty());
  samples[25] = {400 * kMib, 90, 80, 95, 900 * kMib, 50};
  EXPECT_THAT(Growth(samples), IsEmpty());
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto step = static_cast<int64_t>(i);
    samples[i] = {(200 + step) * kMib,    40 + step, 30 + step, 45 + step,
                  (10 + 2 * step) * kMib, 3 + step};
  }
  EXPECT_EQ(Growth(samples).size(), 6u);
}

}  // namespace
}  // namespace bif::testing
