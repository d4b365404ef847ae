// A few threads for what may block but needs no device: storage I/O, reductions, request handlers.
// Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace bif::jobs {

class WorkerPool {
 public:
  struct Options {
    int threads = 4;
    size_t max_queued = 1024;
  };
  explicit WorkerPool(const Options& options);
  ~WorkerPool();  // drains

  // RESOURCE_EXHAUSTED if the queue is full, UNAVAILABLE after Drain; `work` is then not run.
  // `work` must not throw.
  absl::Status Submit(std::function<void()> work);

  // Runs what is queued, then joins. Work that is queued runs to its end: give it deadlines.
  // Repeating it is harmless.
  void Drain();

 private:
  void Loop();

  const Options options_;
  absl::Mutex mutex_;  // guards the queue; never held while work runs
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex join_mutex_;  // guards joining threads_
  std::vector<std::thread> threads_;
};

}  // namespace bif::jobs
