// Traces as they come in: written by the device thread draw by draw, read meanwhile by who waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace bif::jobs {

// Some draws of every chain: `count` of them from `first` on, going on at 0 behind the last.
struct DrawWindow {
  uint32_t first = 0;
  uint32_t count = 0;
  bool Contains(uint32_t draw, uint32_t draws) const {
    return (draw + draws - first) % draws < count;
  }
};

// A row has one trace, or with token losses as many as it has tokens with a loss. The device thread
// writes draws outside of the window that it has reported; readers look at draws within it only.
// Thread-safe under that rule.
class EvaluatedRows {
 public:
  // `traces`: of each row. All values NaN until they are known. `draws` a chain.
  EvaluatedRows(const std::vector<uint32_t>& traces, size_t chains, uint32_t draws);
  EvaluatedRows(size_t rows, size_t chains, uint32_t draws)
      : EvaluatedRows(std::vector<uint32_t>(rows, 1), chains, draws) {}

  size_t rows() const { return first_trace_.size() - 1; }
  size_t traces(size_t r) const { return first_trace_[r + 1] - first_trace_[r]; }
  size_t stride() const { return chains_ * draws_; }
  uint32_t draws() const { return draws_; }
  // [trace of the row][chain position][draw]
  absl::Span<float> row(size_t r) {
    return absl::MakeSpan(values_).subspan(first_trace_[r] * stride(), traces(r) * stride());
  }
  absl::Span<const float> values() const { return values_; }  // of all rows
  // The row's observable at w*, one number a trace; known once Wait says finished.
  absl::Span<float> anchor(size_t r) {
    return absl::MakeSpan(anchor_).subspan(first_trace_[r], traces(r));
  }

  struct State {
    DrawWindow done;
    bool finished = false;
    absl::Status status;  // of what is finished
  };
  void Report(const State& state);
  // The device has begun with it; when that was (the infinite past: not yet).
  void Begin();
  absl::Time begun() const;
  // Blocks until at least `draws` are done or it is finished, and at most `timeout`.
  State Wait(uint32_t draws, absl::Duration timeout) const;

 private:
  const size_t chains_;
  const uint32_t draws_;
  std::vector<size_t> first_trace_;  // a row, and the end
  std::vector<float> anchor_;        // a trace
  std::vector<float> values_;
  mutable absl::Mutex mutex_;  // guards state_, and orders values_ between writer and readers
  State state_ ABSL_GUARDED_BY(mutex_);
  absl::Time begun_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace bif::jobs
