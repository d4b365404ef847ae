// Summaries, tables, JSON and CSV of calls that are made up.
#include "client/load/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "nlohmann/json.hpp"

namespace bif::client::load {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

CallRecord Call(Method method, int intended_ms, int sent_ms, int last_ms) {
  return {.method = method,
          .intended = absl::Milliseconds(intended_ms),
          .sent = absl::Milliseconds(sent_ms),
          .first_message = absl::Milliseconds(last_ms - 1),
          .last = absl::Milliseconds(last_ms),
          .code = absl::StatusCode::kOk,
          .server_times = {}};
}

CallRecord Refused(Method method, int at_ms) {
  CallRecord call = Call(method, at_ms, at_ms, at_ms);
  call.first_message.reset();
  call.code = absl::StatusCode::kResourceExhausted;
  return call;
}

std::vector<CallRecord> SomeCalls() {
  std::vector<CallRecord> calls = {
      Call(Method::kStoredTopK, 1000, 1500, 2000), Call(Method::kHealth, 1200, 1200, 1201),
      Call(Method::kStoredTopK, 2000, 2000, 3000), Refused(Method::kStoredTopK, 2500)};
  calls[2].server_times = {.queue = absl::Milliseconds(700),
                           .evaluation = absl::ZeroDuration(),
                           .scoring = absl::Milliseconds(300)};
  return calls;
}

TEST(LoadSummary, LatencyCountsFromWhenTheCallWasDueAndNotFromWhenItWasSent) {
  const auto summaries = Summarise({Call(Method::kHealth, 1000, 4000, 4010)}, absl::Seconds(1));
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].latency.max, absl::Milliseconds(3010));
  EXPECT_EQ(summaries[0].first_message.max, absl::Milliseconds(3009));
}

TEST(LoadSummary, RefusalsAreCountedByCodeAndDoNotMakeAnswersLookFast) {
  const auto summaries = Summarise(SomeCalls(), absl::Seconds(1));
  ASSERT_EQ(summaries.size(), 2u);
  EXPECT_EQ(summaries[0].method, Method::kStoredTopK);
  EXPECT_EQ(summaries[0].count, 3);
  EXPECT_EQ(summaries[0].errors, (std::map<std::string, int64_t>{{"RESOURCE_EXHAUSTED", 1}}));
  EXPECT_EQ(summaries[0].latency.p50, absl::Seconds(1));
  EXPECT_DOUBLE_EQ(summaries[0].rate, 1.0) << "two answers in the two seconds after the warm-up";
}

TEST(LoadSummary, ServerTimesAreThoseOfTheAnswersThatCarryThem) {
  const auto summaries = Summarise(SomeCalls(), absl::Seconds(1));
  ASSERT_TRUE(summaries[0].server.has_value());
  EXPECT_EQ(summaries[0].server->queue.p50, absl::Milliseconds(700));
  EXPECT_EQ(summaries[0].server->scoring.max, absl::Milliseconds(300));
  EXPECT_FALSE(summaries[1].server.has_value());
}

TEST(LoadOutput, CsvHasALineACall) {
  std::ostringstream out;
  PrintCsv(out, SomeCalls());
  EXPECT_EQ(out.str(),
            "intended,sent,first_message,last,status,method\n"
            "1.000000,1.500000,1.999000,2.000000,OK,stored-top-k\n"
            "1.200000,1.200000,1.200000,1.201000,OK,health\n"
            "2.000000,2.000000,2.999000,3.000000,OK,stored-top-k\n"
            "2.500000,2.500000,,2.500000,RESOURCE_EXHAUSTED,stored-top-k\n");
}

TEST(LoadOutput, JsonSaysInMillisecondsWhatTheSummarySays) {
  std::ostringstream out;
  PrintJson(out, Summarise(SomeCalls(), absl::Seconds(1)));
  const nlohmann::json json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["stored-top-k"]["count"], 3);
  EXPECT_EQ(json["stored-top-k"]["errors"]["RESOURCE_EXHAUSTED"], 1);
  EXPECT_EQ(json["stored-top-k"]["latency_ms"]["p99.9"], 1000.0);
  EXPECT_EQ(json["stored-top-k"]["server_ms"]["queue"]["p50"], 700.0);
  EXPECT_EQ(json["health"]["latency_ms"]["max"], 1.0);
  EXPECT_FALSE(json["health"].contains("server_ms"));
  EXPECT_FALSE(json.contains("new-query"));
}

TEST(LoadOutput, TheTableHasErrorsAndServerTimes) {
  std::ostringstream out;
  PrintTable(out, Summarise(SomeCalls(), absl::Seconds(1)));
  EXPECT_THAT(out.str(), HasSubstr("RESOURCE_EXHAUSTED=1"));
  EXPECT_THAT(out.str(), HasSubstr("server: queue"));
  EXPECT_THAT(out.str(), Not(HasSubstr("new-query")));
}

}  // namespace
}  // namespace bif::client::load
