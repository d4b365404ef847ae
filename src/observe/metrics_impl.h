// The inside of Metrics, shared by metrics.cc and metrics_endpoint.cc.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/registry.h>

#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/observe/metrics.h"

namespace bif::observe {

struct Metrics::Impl : prometheus::Collectable {
  prometheus::Registry registry;
  mutable absl::Mutex
      mutex;  // guards the list, and keeps RemoveRefreshers from returning during a scrape
  std::vector<std::function<void()>> refreshers ABSL_GUARDED_BY(mutex);

  std::vector<prometheus::MetricFamily> Collect() const override {
    {
      absl::MutexLock lock(&mutex);
      for (const auto& refresh : refreshers) refresh();
    }
    return registry.Collect();
  }
};

}  // namespace bif::observe
