// How fast this machine was, by checkpoint: for estimates of how long a run will take. In memory
// only. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace bif::jobs {

class Speeds {
 public:
  void AddGradients(const std::string& checkpoint, int64_t samples, absl::Duration time);
  void AddForwards(const std::string& checkpoint, int64_t samples, absl::Duration time);

  // nullopt while one of the two has not been measured for the checkpoint.
  std::optional<absl::Duration> Predict(const std::string& checkpoint, int64_t gradient_samples,
                                        int64_t forward_samples) const;

 private:
  struct Sum {
    int64_t samples = 0;
    absl::Duration time;
  };
  struct Measured {
    Sum gradients;
    Sum forwards;
  };
  mutable absl::Mutex mutex_;  // guards the sums
  absl::flat_hash_map<std::string, Measured> measured_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
