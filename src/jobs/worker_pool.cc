#include "src/jobs/worker_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::jobs {

WorkerPool::WorkerPool(const Options& options) : options_(options) {
  const int threads = std::max(1, options_.threads);
  threads_.reserve(threads);
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

WorkerPool::~WorkerPool() { Drain(); }

absl::Status WorkerPool::Submit(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  if (draining_) {
    return WithReason(
        absl::UnavailableError("the daemon is shutting down; try again after its restart"),
        "DRAINING");
  }
  if (queue_.size() >= options_.max_queued) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                          queue_.size(), " requests wait for a worker already; try again later")),
                      "QUEUE_FULL");
  }
  queue_.push_back(std::move(work));
  return absl::OkStatus();
}

void WorkerPool::Drain() {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
  }
  absl::MutexLock lock(&join_mutex_);
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::Loop() {
  while (true) {
    std::function<void()> work;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(
          +[](WorkerPool* pool) { return pool->draining_ || !pool->queue_.empty(); }, this));
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace bif::jobs
