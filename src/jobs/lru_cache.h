// The values used last, up to a number of bytes. Thread-safe.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/jobs/cache_entries.h"

namespace bif::jobs {

// `Value` is copied out: use a shared_ptr.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  std::optional<Value> Find(const Key& key) {
    absl::MutexLock lock(&mutex_);
    const auto* const found = entries_.Find(key);
    if (found == nullptr) return std::nullopt;
    entries_.MoveToFront(key);
    return found->value;
  }

  // Gives a value away: it is no longer kept.
  std::optional<Value> Take(const Key& key) {
    absl::MutexLock lock(&mutex_);
    auto* const found = entries_.Find(key);
    if (found == nullptr) return std::nullopt;
    std::optional<Value> value(std::move(found->value));
    entries_.Erase(key);
    return value;
  }

  // Replaces what is there. A value above the limit is not kept.
  void Insert(const Key& key, Value value, int64_t bytes) {
    absl::MutexLock lock(&mutex_);
    entries_.Erase(key);
    if (bytes > max_bytes_) return;
    while (entries_.bytes() + bytes > max_bytes_) entries_.Erase(std::prev(entries_.end()));
    entries_.Insert(entries_.begin(), key, std::move(value), bytes);
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
  const int64_t max_bytes_;
  mutable absl::Mutex mutex_;  // guards entries_
  CacheEntries<Key, Value> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
