#include "client/load/driver.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/load/schedule.h"

namespace bif::client::load {
namespace {

// Calls that have been started and not ended, and what became of the others. Thread-safe.
class Outstanding {
 public:
  explicit Outstanding(absl::Duration warm_up) : warm_up_(warm_up) {}

  // Waits until fewer than `limit` calls are on their way.
  void AwaitFewerThan(size_t limit) {
    absl::MutexLock lock(&mutex_);
    const auto fewer = [&] {
      mutex_.AssertReaderHeld();
      return count_ < limit;
    };
    mutex_.Await(absl::Condition(&fewer));
  }
  void Add() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  void End(const CallRecord& record) {
    absl::MutexLock lock(&mutex_);
    --count_;
    if (record.intended >= warm_up_) records_.push_back(record);
  }
  std::vector<CallRecord> TakeRecords() {
    absl::MutexLock lock(&mutex_);
    return std::move(records_);
  }

 private:
  const absl::Duration warm_up_;
  absl::Mutex mutex_;
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<CallRecord> records_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::vector<CallRecord> Drive(const DriverOptions& options, Requests& requests, Caller& caller,
                              RunClock& clock) {
  const bool open = options.rate > 0;
  PoissonArrivals arrivals(open ? options.rate : 1, options.seed);
  // Shared with the calls: the last one's thread may be about to leave it when this one goes on.
  const auto outstanding = std::make_shared<Outstanding>(options.warm_up);
  const absl::Duration end = options.warm_up + options.duration;
  const size_t limit = open ? options.max_outstanding : static_cast<size_t>(options.concurrency);
  for (int64_t call = 0; options.calls == 0 || call < options.calls; ++call) {
    CallRecord record;
    if (open) {
      record.intended = arrivals.Next();
      if (record.intended >= end) break;
      clock.SleepUntil(record.intended);
    }
    outstanding->AwaitFewerThan(limit);
    if (!open) {
      record.intended = clock.Elapsed();
      if (record.intended >= end) break;
    }
    Requests::Request request = requests.Next();
    outstanding->Add();
    caller.Start(std::move(request), std::move(record), clock,
                 [outstanding](const CallRecord& done) { outstanding->End(done); });
  }
  outstanding->AwaitFewerThan(1);
  return outstanding->TakeRecords();
}

}  // namespace bif::client::load
