// Counters, gauges and histograms, shown in the Prometheus text format (prometheus-cpp underneath).
//
//   observe::Counter rows = metrics.GetCounter("bif_rows_evaluated_total", "Rows evaluated at
//   stored draws"); rows.Add(256);
//
// Thread-safe. Handles are small values that may be copied freely and must not outlive their
// Metrics. Names and label names are constants of the code; one that Prometheus does not allow
// gives a handle that counts nothing, and a log line.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace bif::observe {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  Counter() = default;          // counts nothing
  void Add(double amount = 1);  // a negative amount is ignored
  double Value() const;

 private:
  friend class Metrics;
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value);
  void Add(double amount);
  double Value() const;

 private:
  friend class Metrics;
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value);

 private:
  friend class Metrics;
  prometheus::Histogram* histogram_ = nullptr;
};

// Bucket bounds in seconds for latencies: 1 ms to 10 minutes.
const std::vector<double>& LatencyBuckets();

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same metric. `help` of the first call counts.
  Counter GetCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge GetGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram GetHistogram(const std::string& name, const std::string& help,
                         const std::vector<double>& buckets, const Labels& labels = {});

  // `refresh` runs before every scrape, to set gauges whose truth lies elsewhere (queue lengths,
  // memory). It must not block, and what it refers to must live until RemoveRefreshers.
  void AddRefresher(std::function<void()> refresh);
  void RemoveRefreshers();

  // What a scrape shows.
  std::string Text() const;

 private:
  friend class MetricsEndpoint;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bif::observe
