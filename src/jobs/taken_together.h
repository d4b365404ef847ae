// Work that callers can do for each other: while one of them works, whoever comes waits, and the
// next one does it for all of those. Who comes alone waits for nobody.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace bif::jobs {

template <typename Request>
class TakenTogether {
 public:
  // At most `most` at a time, as callers count the size of theirs, unless one alone has more.
  explicit TakenTogether(size_t most) : most_(most) {}

  // Returns once `serve` has been called with `own` among the requests, on this thread or another
  // caller's. All that are served together have the same key; callers with the same key must mean
  // the same by `serve`. What `serve` throws reaches all whom it was to serve, and nobody else.
  void Serve(const std::string& key, Request& own, size_t size,
             absl::FunctionRef<void(const std::vector<Request*>&)> serve) {
    Waiting self{&own, size};
    std::vector<Waiting*> together;
    {
      absl::MutexLock lock(&mutex_);
      Group& group = groups_[key];
      group.waiting.push_back(&self);
      // Served by another caller, or the first of those that are to be served next. The group may
      // be gone once this one is served.
      const auto over = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return self.done || (!group.serving && group.waiting.front() == &self);
      };
      mutex_.Await(absl::Condition(&over));
      if (self.thrown != nullptr) std::rethrow_exception(self.thrown);
      if (self.done) return;
      group.serving = true;
      size_t taken = 0;
      while (!group.waiting.empty()) {
        const size_t more = group.waiting.front()->size;
        if (!together.empty() && taken + more > most_) break;
        taken += more;
        together.push_back(group.waiting.front());
        group.waiting.pop_front();
      }
    }
    std::vector<Request*> requests;
    for (const Waiting* one : together) requests.push_back(one->request);
    std::exception_ptr thrown;
    try {
      serve(requests);
    } catch (...) {  // else the others would wait for ever
      thrown = std::current_exception();
    }
    absl::MutexLock lock(&mutex_);
    for (Waiting* one : together) {
      one->thrown = thrown;
      one->done = true;
    }
    const auto group = groups_.find(key);
    group->second.serving = false;
    if (group->second.waiting.empty()) groups_.erase(group);
    if (thrown != nullptr) std::rethrow_exception(thrown);
  }

 private:
  struct Waiting {
    Request* request = nullptr;
    size_t size = 0;
    bool done = false;
    std::exception_ptr thrown;
  };
  struct Group {
    bool serving = false;
    std::deque<Waiting*> waiting;
  };

  const size_t most_;
  absl::Mutex mutex_;  // guards who waits; not held while somebody is served
  std::map<std::string, Group> groups_ ABSL_GUARDED_BY(mutex_);  // by key; its places stay
};

}  // namespace bif::jobs
