#include "src/observe/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/observe/metrics_endpoint.h"
#include "src/observe/process.h"
#include "tests/support/http_get.h"

namespace bif::observe {
namespace {

using bif::testing::HttpGet;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, SameNameAndLabelsAreOneMetric) {
  Metrics metrics;
  metrics.GetCounter("bif_requests_total", "Requests", {{"code", "OK"}}).Add();
  metrics.GetCounter("bif_requests_total", "Requests", {{"code", "OK"}}).Add(2);
  metrics.GetCounter("bif_requests_total", "Requests", {{"code", "INTERNAL"}}).Add();
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_requests_total{code=\"OK\"} 3"));
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_requests_total{code=\"INTERNAL\"} 1"));
}

TEST(Metrics, CountersIgnoreNegativeAmounts) {
  Metrics metrics;
  Counter counter = metrics.GetCounter("bif_draws_total", "Draws");
  counter.Add(5);
  counter.Add(-3);
  EXPECT_EQ(counter.Value(), 5);
}

TEST(Metrics, HistogramsCountIntoTheirBuckets) {
  Metrics metrics;
  Histogram histogram = metrics.GetHistogram("bif_seconds", "Latency", {0.1, 1});
  histogram.Observe(0.05);
  histogram.Observe(0.5);
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_seconds_bucket{le=\"0.1\"} 1"));
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_seconds_bucket{le=\"1\"} 2"));
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_seconds_count 2"));
}

TEST(Metrics, RefreshersRunBeforeEveryScrape) {
  Metrics metrics;
  Gauge gauge = metrics.GetGauge("bif_queue_length", "Jobs waiting");
  int scrapes = 0;
  metrics.AddRefresher([&] { gauge.Set(++scrapes); });
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_queue_length 1"));
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_queue_length 2"));
  metrics.RemoveRefreshers();
  EXPECT_THAT(metrics.Text(), HasSubstr("bif_queue_length 2"));
}

TEST(Metrics, NamesThatPrometheusRefusesCountNothingAndDoNoHarm) {
  Metrics metrics;
  Counter counter = metrics.GetCounter("not a name", "x");
  counter.Add();
  EXPECT_EQ(counter.Value(), 0);
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("not a name")));
}

TEST(MetricsEndpoint, ServesTheTextOnAPortOfTheSystemsChoice) {
  Metrics metrics;
  metrics.GetCounter("bif_draws_total", "Draws").Add(7);
  auto endpoint = MetricsEndpoint::Start("127.0.0.1:0", metrics);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  ASSERT_NE((*endpoint)->port(), 0);
  EXPECT_THAT(HttpGet((*endpoint)->port(), "/metrics"), HasSubstr("bif_draws_total 7"));
}

TEST(MetricsEndpoint, ATakenPortIsAnErrorAndNotACrash) {
  Metrics metrics;
  auto first = MetricsEndpoint::Start("127.0.0.1:0", metrics);
  ASSERT_TRUE(first.ok());
  auto second = MetricsEndpoint::Start("127.0.0.1:" + std::to_string((*first)->port()), metrics);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

TEST(Process, ResidentMemoryIsAtLeastAMebibyte) { EXPECT_GT(ResidentBytes(), 1 << 20); }

}  // namespace
}  // namespace bif::observe
