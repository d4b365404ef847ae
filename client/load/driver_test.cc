// The driver and the command line against a server in the test's process.
#include "client/load/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "client/load/app.h"
#include "client/load/summary.h"
#include "nlohmann/json.hpp"
#include "tests/support/client/fake_server.h"

namespace bif::client::load {
namespace {

using ::testing::HasSubstr;

FakeServer::Error Ok() { return {}; }

// Time that passes only when somebody says so.
class FakeRunClock final : public RunClock {
 public:
  absl::Duration Elapsed() override {
    absl::MutexLock lock(&mutex_);
    return now_;
  }
  void SleepUntil(absl::Duration elapsed) override {
    absl::MutexLock lock(&mutex_);
    now_ = std::max(now_, elapsed);
  }

 private:
  absl::Mutex mutex_;
  absl::Duration now_ ABSL_GUARDED_BY(mutex_);
};

class LoadDriver : public ::testing::Test {
 protected:
  LoadDriver() {
    server_.get_posterior = [](const v1::GetPosteriorRequest& request, v1::Posterior& posterior) {
      posterior.set_name(request.name());
      posterior.set_dataset("datasets/train");
      return Ok();
    };
    server_.list_samples = [](const v1::ListSamplesRequest& request,
                              v1::ListSamplesResponse& response) {
      EXPECT_EQ(request.dataset(), "datasets/train");
      for (const char* id : {"a", "b", "c"}) {
        v1::Sample& sample = *response.add_samples();
        sample.set_id(id);
        if (!request.include_tensors()) continue;
        v1::Tensor& tensor = *sample.add_tensors();
        tensor.mutable_spec()->set_dtype(v1::FLOAT32);
        tensor.set_data(std::string(400, '\0'));
      }
      return Ok();
    };
    server_.attribute = [this](const v1::AttributeRequest& request,
                               std::vector<v1::AttributeResponse>& responses) {
      if (request.queries().inline__size() > 0) {
        new_queries_.insert(request.queries().inline_(0).SerializeAsString());
      } else {
        asked_.push_back(request.queries().sample_ids(0));
      }
      responses.resize(2);
      responses[1].set_final(true);
      return Ok();
    };
  }

  std::vector<CallRecord> Run(const std::string& mix, DriverOptions options, int connections = 1) {
    Client client({.server = server_.address()});
    RequestOptions wanted;
    wanted.posterior = "posteriors/p";
    wanted.mix = *ParseMix(mix);
    absl::StatusOr<Requests> requests = Requests::Make(client, wanted);
    EXPECT_TRUE(requests.ok()) << requests.status();
    auto caller = Caller::Connect(
        {.server = server_.address(), .connections = connections, .idle_connections = 2});
    EXPECT_TRUE(caller.ok()) << caller.status();
    options.duration = absl::InfiniteDuration();
    return Drive(options, *requests, **caller, clock_);
  }

  FakeServer server_;
  FakeRunClock clock_;
  std::vector<std::string> asked_;
  std::set<std::string> new_queries_;
};

TEST_F(LoadDriver, AClosedLoopAsksForStoredSamplesInTurn) {
  const auto calls = Run("stored-top-k", {.calls = 7});
  EXPECT_EQ(calls.size(), 7u);
  EXPECT_EQ(asked_, (std::vector<std::string>{"a", "b", "c", "a", "b", "c", "a"}));
  for (const CallRecord& call : calls) {
    EXPECT_EQ(call.code, absl::StatusCode::kOk);
    EXPECT_TRUE(call.first_message.has_value());
  }
}

TEST_F(LoadDriver, NoTwoNewQueriesAreTheSame) {
  Run("new-query", {.concurrency = 4, .calls = 50}, /*connections=*/3);
  EXPECT_EQ(new_queries_.size(), 50u);
}

TEST_F(LoadDriver, HealthIsCheckedWithoutAPosterior) {
  const auto calls = Run("health", {.calls = 5});
  EXPECT_EQ(calls.size(), 5u);
  for (const CallRecord& call : calls) EXPECT_EQ(call.code, absl::StatusCode::kOk);
  EXPECT_EQ(server_.calls("GetPosterior"), 0);
}

// A call that outlived the news of its end was the last owner of its channel, now and then, and
// gRPC's thread then waited for itself.
TEST_F(LoadDriver, ACallerMayGoAsSoonAsItsLastCallHasEnded) {
  for (int round = 0; round < 100; ++round)
    EXPECT_EQ(Run("stored-top-k,health", {.concurrency = 4, .calls = 8}).size(), 8u);
}

TEST_F(LoadDriver, AnOpenLoopDoesNotFlatterAServerThatStandsStill) {
  bool stalled = false;
  server_.attribute = [&](const v1::AttributeRequest&,
                          std::vector<v1::AttributeResponse>& responses) {
    if (!std::exchange(stalled, true)) clock_.SleepUntil(absl::Seconds(100));
    responses.emplace_back().set_final(true);
    return Ok();
  };
  // One call on its way at a time, as a driver with coordinated omission would have it; but the
  // other 49 were due during the stall, about one a second, and their users waited, too.
  const auto calls = Run("stored-top-k", {.rate = 1, .calls = 50, .max_outstanding = 1});
  ASSERT_EQ(calls.size(), 50u);
  for (const CallRecord& call : calls) {
    EXPECT_LT(call.intended, absl::Seconds(100));
    EXPECT_GE(call.last, absl::Seconds(100));
  }
  EXPECT_GT(Summarise(calls, absl::ZeroDuration())[0].latency.p50, absl::Seconds(40));
}

TEST_F(LoadDriver, CallsThatAreDueInTheWarmUpAreNotRecorded) {
  const auto calls = Run("stored-top-k", {.rate = 1, .warm_up = absl::Seconds(20), .calls = 60});
  EXPECT_EQ(asked_.size(), 60u);
  EXPECT_LT(calls.size(), 60u);
  EXPECT_GT(calls.size(), 0u);
  for (const CallRecord& call : calls) EXPECT_GE(call.intended, absl::Seconds(20));
}

TEST_F(LoadDriver, ServerTimesAndRefusalsAreKept) {
  int number = 0;
  server_.attribute = [&](const v1::AttributeRequest&,
                          std::vector<v1::AttributeResponse>& responses) {
    switch (number++) {
      case 0:
        responses.emplace_back().set_final(true);
        responses[0].mutable_server_times()->mutable_queue()->set_nanos(5'000'000);
        responses[0].mutable_server_times()->mutable_scoring()->set_seconds(2);
        return Ok();
      case 1:
        return MakeError(8, "the queue is full");
      default:
        return Ok();  // a stream that ends without the final answer
    }
  };
  const auto calls = Run("stored-top-k", {.calls = 3});
  ASSERT_EQ(calls.size(), 3u);
  ASSERT_TRUE(calls[0].server_times.has_value());
  EXPECT_EQ(calls[0].server_times->queue, absl::Milliseconds(5));
  EXPECT_EQ(calls[0].server_times->scoring, absl::Seconds(2));
  EXPECT_EQ(calls[1].code, absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(calls[1].first_message.has_value());
  EXPECT_EQ(calls[2].code, absl::StatusCode::kInternal);
}

TEST_F(LoadDriver, SamplesThatCannotBeChangedAreSaidBeforeTheRun) {
  server_.list_samples = [](const auto&, v1::ListSamplesResponse& response) {
    response.add_samples()->set_id("a");
    return Ok();
  };
  Client client({.server = server_.address()});
  const RequestOptions options{
      .posterior = "posteriors/p", .dataset = {}, .mix = *ParseMix("new-query")};
  EXPECT_EQ(Requests::Make(client, options).status().code(), absl::StatusCode::kFailedPrecondition);
}

struct Ran {
  int exit_code;
  std::string out, err;
};
Ran Load(const std::string& line) {
  std::ostringstream out, err;
  const int exit_code = RunLoad(absl::StrSplit(line, ' '), out, err);
  return {exit_code, out.str(), err.str()};
}

TEST_F(LoadDriver, TheCommandLineRunsALoadAndWritesWhatItSaw) {
  const std::string csv = testing::TempDir() + "/bif_load_test.csv";
  const Ran ran = Load("--server " + server_.address() +
                       " --posterior posteriors/p --mix stored-top-k=1,new-query=1,health=1"
                       " --rate 100000 --calls 60 --connections 2 --json --csv " +
                       csv);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const nlohmann::json json = nlohmann::json::parse(ran.out);
  int64_t count = 0;
  for (const auto& [method, summary] : json.items()) count += summary["count"].get<int64_t>();
  EXPECT_EQ(count, 60);
  int lines = 0;
  std::ifstream file(csv);
  for (std::string line; std::getline(file, line);) ++lines;
  EXPECT_EQ(lines, 61);
  std::remove(csv.c_str());
}

TEST_F(LoadDriver, WrongCommandLinesAreRefused) {
  EXPECT_EQ(Load("--mix nothing").exit_code, 2);
  EXPECT_EQ(Load("--rate 5 --concurrency 5").exit_code, 2);
  EXPECT_EQ(Load("--rate 0").exit_code, 2);
  EXPECT_EQ(Load("--no-such-option").exit_code, 2);
  EXPECT_THAT(Load("--help").out, HasSubstr("--idle-connections"));
  EXPECT_EQ(Load("--server " + server_.address() + " --mix stored-top-k").exit_code, 1)
      << "attribution without a posterior";
}

}  // namespace
}  // namespace bif::client::load
