// Values by key in the order of their use, with their bytes: what the caches of this folder are
// made of. Which value goes when there is no room is theirs to decide. Thread-compatible.
#pragma once

#include <cstdint>
#include <iterator>
#include <list>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace bif::jobs {

// `Key` needs AbslHashValue or a type that Abseil hashes.
template <typename Key, typename Value>
class CacheEntries {
 public:
  struct Entry {
    Key key;
    Value value;
    int64_t bytes;
  };
  using Place = typename std::list<Entry>::iterator;

  // nullptr if there is none. Valid until it is erased.
  Entry* Find(const Key& key) {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &*found->second;
  }
  bool Contains(const Key& key) const { return places_.contains(key); }
  // It has just been used.
  void MoveToFront(const Key& key) {
    const Place place = places_.find(key)->second;
    order_.splice(order_.begin(), order_, place);
  }

  // Before `place`; the key must be new.
  void Insert(Place place, const Key& key, Value value, int64_t bytes) {
    places_[key] = order_.insert(place, {key, std::move(value), bytes});
    bytes_ += bytes;
  }
  void Erase(const Key& key) {
    const auto found = places_.find(key);
    if (found != places_.end()) Erase(found->second);
  }
  void Erase(Place place) {
    bytes_ -= place->bytes;
    places_.erase(place->key);
    order_.erase(place);
  }
  template <typename Predicate>
  void EraseIf(Predicate predicate) {
    for (Place place = order_.begin(); place != order_.end();) {
      const Place next = std::next(place);
      if (predicate(place->key)) Erase(place);
      place = next;
    }
  }

  // Used last first.
  Place begin() { return order_.begin(); }
  Place end() { return order_.end(); }
  int64_t bytes() const { return bytes_; }

 private:
  std::list<Entry> order_;
  absl::flat_hash_map<Key, Place> places_;
  int64_t bytes_ = 0;
};

}  // namespace bif::jobs
