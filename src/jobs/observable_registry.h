// The numbers that one posterior gives to observables with more fields than an array code has room
// for: a span, a position, two logits. The ObservableRecords of the catalog, in memory.
//
// Thread-safe. As with TraceIndex, changes go in two steps, and one writer at a time is the
// caller's duty.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "src/engine/engine.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

class ObservableRegistry {
 public:
  explicit ObservableRegistry(uint64_t posterior_number) : posterior_number_(posterior_number) {}

  absl::Status Reload(storage::Catalog& catalog);

  // The array of any observable; kNoArray if it has no number yet, and so no traces.
  uint32_t Find(const engine::Observable& observable) const;

  // The same, but gives the next number, and adds its record to `writes`. Once that is committed,
  // Apply makes it known.
  uint32_t Prepare(const engine::Observable& observable, storage::WriteSet& writes) const;
  void Apply(const engine::Observable& observable, uint32_t array);

 private:
  uint32_t FindNumbered(const engine::Observable& observable) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const uint64_t posterior_number_;
  mutable absl::Mutex mutex_;  // guards all below
  // Few: one for each question of its own that was ever asked.
  std::vector<std::pair<engine::Observable, uint32_t>> arrays_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
