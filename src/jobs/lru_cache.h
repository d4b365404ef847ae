// The values used last, up to a number of bytes. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace bif::jobs {

// `Key` needs AbslHashValue or a type that Abseil hashes. `Value` is copied out: use a shared_ptr.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  std::optional<Value> Find(const Key& key) {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return std::nullopt;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->value;
  }

  // Gives a value away: it is no longer kept.
  std::optional<Value> Take(const Key& key) {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return std::nullopt;
    std::optional<Value> value(std::move(found->second->value));
    EraseEntry(key);
    return value;
  }

  // Replaces what is there. A value above the limit is not kept.
  void Insert(const Key& key, Value value, int64_t bytes) {
    absl::MutexLock lock(&mutex_);
    EraseEntry(key);
    if (bytes > max_bytes_) return;
    while (bytes_ + bytes > max_bytes_) EraseEntry(order_.back().key);
    order_.push_front({key, std::move(value), bytes});
    entries_[key] = order_.begin();
    bytes_ += bytes;
  }

  template <typename Predicate>
  void EraseIf(Predicate predicate) {
    absl::MutexLock lock(&mutex_);
    for (auto it = order_.begin(); it != order_.end();) {
      const auto next = std::next(it);
      if (predicate(it->key)) EraseEntry(Key(it->key));
      it = next;
    }
  }

  int64_t bytes() const {
    absl::MutexLock lock(&mutex_);
    return bytes_;
  }

 private:
  struct Entry {
    Key key;
    Value value;
    int64_t bytes;
  };

  void EraseEntry(Key key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    bytes_ -= found->second->bytes;
    order_.erase(found->second);
    entries_.erase(found);
  }

  const int64_t max_bytes_;
  mutable absl::Mutex mutex_;                       // guards all below
  std::list<Entry> order_ ABSL_GUARDED_BY(mutex_);  // used last first
  absl::flat_hash_map<Key, typename std::list<Entry>::iterator> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace bif::jobs
