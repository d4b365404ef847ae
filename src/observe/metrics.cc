#include "src/observe/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <exception>

#include "src/observe/log.h"
#include "src/observe/metrics_impl.h"

namespace bif::observe {
namespace {

// Registers a metric; prometheus-cpp throws for names it does not allow.
template <typename Make>
auto Registered(const std::string& name, Make make) -> decltype(make()) {
  try {
    return make();
  } catch (const std::exception& error) {
    LogError("metric refused", {{"name", name}, {"error", error.what()}});
    return nullptr;
  }
}

}  // namespace

void Counter::Add(double amount) {
  if (counter_ != nullptr && amount > 0) counter_->Increment(amount);
}
double Counter::Value() const { return counter_ == nullptr ? 0 : counter_->Value(); }

void Gauge::Set(double value) {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::Add(double amount) {
  if (gauge_ != nullptr) gauge_->Increment(amount);
}
double Gauge::Value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }

void Histogram::Observe(double value) {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

const std::vector<double>& LatencyBuckets() {
  static const auto* const buckets = new std::vector<double>{
      0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600};
  return *buckets;
}

Metrics::Metrics() : impl_(std::make_shared<Impl>()) {}
Metrics::~Metrics() = default;

Counter Metrics::GetCounter(const std::string& name, const std::string& help,
                            const Labels& labels) {
  Counter handle;
  handle.counter_ = Registered(name, [&] {
    return &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
  });
  return handle;
}

Gauge Metrics::GetGauge(const std::string& name, const std::string& help, const Labels& labels) {
  Gauge handle;
  handle.gauge_ = Registered(name, [&] {
    return &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
  });
  return handle;
}

Histogram Metrics::GetHistogram(const std::string& name, const std::string& help,
                                const std::vector<double>& buckets, const Labels& labels) {
  Histogram handle;
  handle.histogram_ = Registered(name, [&] {
    return &prometheus::BuildHistogram()
                .Name(name)
                .Help(help)
                .Register(impl_->registry)
                .Add(labels, buckets);
  });
  return handle;
}

void Metrics::AddRefresher(std::function<void()> refresh) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->refreshers.push_back(std::move(refresh));
}

void Metrics::RemoveRefreshers() {
  absl::MutexLock lock(&impl_->mutex);
  impl_->refreshers.clear();
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(impl_->Collect());
}

}  // namespace bif::observe
