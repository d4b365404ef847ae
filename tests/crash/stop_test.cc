// SIGSTOP of the real daemon for longer than its clients wait: they give up, and when it goes on it
// finds their calls in its sockets, and them asking again. The work is done once.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "bif/v1/operations.grpc.pb.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/http_get.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;

constexpr int kRows = 64;
constexpr uint32_t kChains = 2;
constexpr uint32_t kDraws = 300;

class Stopped : public ::testing::Test {
 protected:
  Stopped()
      : daemon_(scratch_ / "data", {"--allow-root=" + scratch_.path()}),
        patient_(ClientOf(daemon_)),
        impatient_(Impatient(daemon_)),
        request_(PrepareClassifier(patient_, scratch_.path(), kRows, kDraws)) {
    request_.set_request_id("once");
  }

  static client::ClientOptions Impatient(const DaemonProcess& daemon) {
    client::ClientOptions options = ClientOf(daemon);
    options.call_deadline = absl::Milliseconds(400);
    options.stream_deadline = absl::Milliseconds(400);
    options.retry.max_attempts = 1;
    return options;
  }
  int Operations() { return patient_.ListOperations({})->operations_size(); }
  void ExpectCounter(const std::string& name, int64_t value) {
    EXPECT_THAT(HttpGet(daemon_.metrics_port(), "/metrics"),
                HasSubstr(absl::StrCat("\n", name, " ", value, "\n")));
  }
  // Every step and every row of one run, once each. Burn-in has no steps, and a draw has one.
  void ExpectOneRun() {
    ExpectCounter("bif_sampling_steps_total", kChains * kDraws);
    ExpectCounter("bif_draws_total", kChains * kDraws);
    ExpectCounter("bif_training_rows_observed_total", kRows * (1 + kChains * kDraws));
  }

  TempDir scratch_;
  DaemonProcess daemon_;
  client::Client patient_;
  client::Client impatient_;
  v1::CreatePosteriorRequest request_;
};

TEST_F(Stopped, ACallThatItsClientGaveUpIsCarriedOutOnce) {
  ASSERT_TRUE(*impatient_.IsServing()) << "the connection is there";
  daemon_.StandStill();
  for (int attempt = 0; attempt < 3; ++attempt)
    EXPECT_TRUE(absl::IsDeadlineExceeded(impatient_.CreatePosterior(request_).status()));
  daemon_.GoOn();

  const auto operation = patient_.CreatePosterior(request_);
  ASSERT_TRUE(operation.ok()) << operation.status();
  WaitUntilDone(patient_, operation->name());
  EXPECT_EQ(patient_.CreatePosterior(request_)->name(), operation->name());
  EXPECT_EQ(Operations(), 1);
  ExpectOneRun();
}

TEST_F(Stopped, ARunThatStandsStillForLongerThanAnybodyWaitsGoesOnWhereItWas) {
  const std::string operation = patient_.CreatePosterior(request_)->name();
  ASSERT_TRUE(*impatient_.IsServing()) << "the connection is there";
  int stops = 0;
  const auto watched =
      patient_.WatchOperation(operation, 0, [&](const v1::WatchOperationResponse& change) {
        v1::PosteriorProgress progress;
        change.operation().metadata().UnpackTo(&progress);
        if (progress.draws_done() < 20 || progress.stage() != "sampling" || ++stops > 1) return;
        daemon_.StandStill();
        EXPECT_TRUE(absl::IsDeadlineExceeded(impatient_.GetOperation(operation).status()));
        EXPECT_TRUE(absl::IsDeadlineExceeded(impatient_.WatchOperation(operation, 0).status()));
        EXPECT_TRUE(absl::IsDeadlineExceeded(impatient_.CreatePosterior(request_).status()));
        daemon_.GoOn();
      });
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_TRUE(watched->has_response()) << watched->ShortDebugString();
  EXPECT_GT(stops, 0);
  EXPECT_EQ(patient_.CreatePosterior(request_)->name(), operation);
  EXPECT_EQ(Operations(), 1);
  ExpectOneRun();
}

// A client that asks the connection itself for signs of life loses it; the operation does not care.
TEST_F(Stopped, AConnectionThatWasGivenUpTakesNothingWithIt) {
  const std::string operation = patient_.CreatePosterior(request_)->name();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 500);
  const auto channel =
      grpc::CreateCustomChannel(daemon_.address(), grpc::InsecureChannelCredentials(), arguments);
  const auto stub = v1::OperationWatcher::NewStub(channel);
  grpc::ClientContext context;
  v1::WatchOperationRequest watch;
  watch.set_name(operation);
  const auto reader = stub->WatchOperation(&context, watch);
  v1::WatchOperationResponse change;
  ASSERT_TRUE(reader->Read(&change));
  daemon_.StandStill();
  while (reader->Read(&change)) {  // what was on its way
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  daemon_.GoOn();

  WaitUntilDone(patient_, operation);
  EXPECT_EQ(patient_.CreatePosterior(request_)->name(), operation);
  EXPECT_EQ(Operations(), 1);
  ExpectOneRun();
}

TEST_F(Stopped, RowsAreTracedOnceThoughTheirClientAskedFourTimes) {
  const std::string posterior = SamplePosterior(patient_, request_);
  ASSERT_TRUE(patient_.CreateDataset(ImageDataset("more")).ok());
  ASSERT_TRUE(patient_.ImportSamples(ImageImport(scratch_.path(), "more", 500, 8)).ok());
  v1::TraceSamplesRequest trace;
  trace.set_request_id("trace");
  trace.set_posterior(posterior);
  trace.set_dataset("datasets/more");
  ASSERT_TRUE(*impatient_.IsServing());
  daemon_.StandStill();
  for (int attempt = 0; attempt < 3; ++attempt)
    EXPECT_TRUE(absl::IsDeadlineExceeded(impatient_.TraceSamples(trace).status()));
  daemon_.GoOn();
  const std::string operation = patient_.TraceSamples(trace)->name();
  WaitUntilDone(patient_, operation);
  EXPECT_EQ(patient_.TraceSamples(trace)->name(), operation);
  EXPECT_EQ(Operations(), 2);
  ExpectCounter("bif_rows_evaluated_total", 8);

  // Negative control: asked for under another id it is other work, and both detectors see it.
  trace.set_request_id("trace again");
  const std::string other = patient_.TraceSamples(trace)->name();
  WaitUntilDone(patient_, other);
  EXPECT_NE(other, operation);
  EXPECT_EQ(Operations(), 3);
  ASSERT_TRUE(patient_.DeletePosterior(posterior).ok());
  request_.set_request_id("twice");
  EXPECT_EQ(SamplePosterior(patient_, request_), posterior);
  ExpectCounter("bif_sampling_steps_total", 2 * kChains * kDraws);
}

}  // namespace
}  // namespace bif::testing
