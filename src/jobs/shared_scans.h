// All queries that wait for one posterior ride one scan over its draws (src/jobs/draw_scan.h),
// whoever asks. There is a task of the device thread for each posterior that somebody waits for.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "src/jobs/counters.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/draw_scan.h"
#include "src/jobs/model_cache.h"

namespace bif::jobs {

class SharedScans {
 public:
  // The references must outlive it; it must outlive the executor's tasks.
  SharedScans(DeviceExecutor& executor, ModelCache& models, DrawReader& draws, Counters& counters)
      : executor_(executor), models_(models), draws_(draws), counters_(counters) {}

  // The rider's result tells the rest. RESOURCE_EXHAUSTED if the device's queue is full,
  // UNAVAILABLE while it drains.
  absl::Status Ride(ScanRider rider);

 private:
  class Task;
  // What riders share: the draws that they want. More draws since, or other chains: another scan.
  struct Key {
    uint64_t posterior = 0;
    uint32_t draws = 0;
    std::vector<uint32_t> chains;

    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.posterior, k.draws, k.chains);
    }
  };

  // Ends who waits, and the scan with them.
  void EndWaiting(const Key& key, const absl::Status& why);
  // Who has come since the last time. With none, and `may_end`, the scan is taken off the list.
  std::vector<ScanRider> TakeWaiting(const Key& key, bool may_end, bool& ended);

  DeviceExecutor& executor_;
  ModelCache& models_;
  DrawReader& draws_;
  Counters& counters_;
  absl::Mutex mutex_;  // guards who waits
  absl::flat_hash_map<Key, std::vector<ScanRider>> waiting_ ABSL_GUARDED_BY(mutex_);  // a scan
};

}  // namespace bif::jobs
