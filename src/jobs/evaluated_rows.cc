#include "src/jobs/evaluated_rows.h"

#include <limits>
#include <numeric>

#include "absl/time/clock.h"

namespace bif::jobs {

EvaluatedRows::EvaluatedRows(const std::vector<uint32_t>& traces, size_t chains, uint32_t draws)
    : chains_(chains), draws_(draws), first_trace_(traces.size() + 1) {
  std::partial_sum(traces.begin(), traces.end(), first_trace_.begin() + 1);
  anchor_.assign(first_trace_.back(), std::numeric_limits<float>::quiet_NaN());
  values_.assign(first_trace_.back() * stride(), std::numeric_limits<float>::quiet_NaN());
}

void EvaluatedRows::Report(const State& state) {
  absl::MutexLock lock(&mutex_);
  if (!state_.finished) state_ = state;
}

void EvaluatedRows::Begin() {
  absl::MutexLock lock(&mutex_);
  begun_ = absl::Now();
}

absl::Time EvaluatedRows::begun() const {
  absl::MutexLock lock(&mutex_);
  return begun_;
}

EvaluatedRows::State EvaluatedRows::Wait(uint32_t draws, absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return state_.finished || state_.done.count >= draws;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&ready), timeout);
  return state_;
}

}  // namespace bif::jobs
