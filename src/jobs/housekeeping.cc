#include "src/jobs/housekeeping.h"

#include <utility>

#include "src/observe/log.h"

namespace bif::jobs {

Housekeeping::Housekeeping(Tidy tidy) : tidy_(std::move(tidy)), thread_([this] { Loop(); }) {}

Housekeeping::~Housekeeping() { Stop(); }

void Housekeeping::Schedule(const std::string& dataset) {
  absl::MutexLock lock(&mutex_);
  waiting_.insert(dataset);
}

void Housekeeping::WaitUntilIdle() {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || (waiting_.empty() && !busy_);
  };
  mutex_.Await(absl::Condition(&idle));
}

void Housekeeping::Stop() {
  stop_.Cancel();
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  absl::MutexLock lock(&join_mutex_);
  if (thread_.joinable()) thread_.join();
}

std::optional<std::string> Housekeeping::Next() {
  absl::MutexLock lock(&mutex_);
  const auto something = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || !waiting_.empty();
  };
  mutex_.Await(absl::Condition(&something));
  if (stopped_) return std::nullopt;
  busy_ = true;
  return std::move(waiting_.extract(waiting_.begin()).value());
}

void Housekeeping::Done() {
  absl::MutexLock lock(&mutex_);
  busy_ = false;
}

void Housekeeping::Loop() {
  while (const std::optional<std::string> dataset = Next()) {
    const absl::Status done = tidy_(*dataset, stop_);
    const bool deleted_meanwhile = absl::IsNotFound(done);
    if (!done.ok() && !deleted_meanwhile && !stop_.cancelled()) {
      observe::LogError("deleted samples were not erased; the next start tries again",
                        {{"dataset", *dataset}, {"error", done.ToString()}});
    }
    Done();
  }
}

}  // namespace bif::jobs
