// Values up to a number of bytes, kept by how often they are asked for: a newcomer takes the place
// of the values used longest ago only if it is asked for clearly more often than each of them.
//
// A scan over more than fits then keeps a part of it, where a cache of the values used last would
// keep nothing: each value would be gone before its next turn. And a scan that happens once, or in
// bulk, moves nobody out. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/jobs/cache_entries.h"
#include "src/jobs/frequency_sketch.h"

namespace bif::jobs {

// Who asks. Bulk work is not counted, and its values are kept only where nobody else needs the
// room.
enum class CacheUse : uint8_t { kInteractive, kBulk };

// `Fingerprint` gives 64 bits of a key, the same in every process, so that what is kept can be
// foretold. `Value` is copied out: use a shared_ptr.
template <typename Key, typename Value, typename Fingerprint>
class AdmissionCache {
 public:
  // `keys`: about how many values are of interest at a time, kept or not.
  AdmissionCache(int64_t max_bytes, size_t keys) : max_bytes_(max_bytes), sketch_(keys) {}

  std::optional<Value> Find(const Key& key, CacheUse use) {
    absl::MutexLock lock(&mutex_);
    if (use == CacheUse::kInteractive) sketch_.Count(Fingerprint()(key));
    const auto* const found = entries_.Find(key);
    if (found == nullptr) return std::nullopt;
    if (use == CacheUse::kInteractive) entries_.MoveToFront(key);
    return found->value;
  }

  bool Contains(const Key& key) const {
    absl::MutexLock lock(&mutex_);
    return entries_.Contains(key);
  }

  // After Find has missed. Whether it is kept now.
  bool Offer(const Key& key, Value value, int64_t bytes, CacheUse use) {
    absl::MutexLock lock(&mutex_);
    if (entries_.Contains(key)) return true;
    if (bytes > max_bytes_) return false;
    if (entries_.bytes() + bytes > max_bytes_ &&
        (use == CacheUse::kBulk || !MakeRoom(bytes, sketch_.Frequency(Fingerprint()(key)))))
      return false;
    entries_.Insert(use == CacheUse::kBulk ? entries_.end() : entries_.begin(), key,
                    std::move(value), bytes);
    return true;
  }

  template <typename Predicate>
  void EraseIf(Predicate predicate) {
    absl::MutexLock lock(&mutex_);
    entries_.EraseIf(predicate);
  }

  int64_t bytes() const {
    absl::MutexLock lock(&mutex_);
    return entries_.bytes();
  }

 private:
  // Erases the values used longest ago until there is room, or none if one of them is wanted about
  // as often as the newcomer: by one request less at most, which is what a scan that has come by
  // the one and not yet by the other makes of equals.
  bool MakeRoom(int64_t bytes, uint8_t frequency) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    int64_t freed = max_bytes_ - entries_.bytes();
    auto first = entries_.end();
    while (freed < bytes) {
      --first;
      if (sketch_.Frequency(Fingerprint()(first->key)) + 1 >= frequency) return false;
      freed += first->bytes;
    }
    while (first != entries_.end()) entries_.Erase(first++);
    return true;
  }

  const int64_t max_bytes_;
  mutable absl::Mutex mutex_;                       // guards all below
  FrequencySketch sketch_ ABSL_GUARDED_BY(mutex_);  // of what is asked for, kept or not
  CacheEntries<Key, Value> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
