// What a job will cost, or what is left of it. Plain values.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace bif::jobs {

struct CostEstimate {
  int64_t gradient_samples = 0;  // samples that go forward and backward
  int64_t forward_samples = 0;   // samples that go forward only
  int64_t device_bytes = 0;      // an upper bound
  int64_t disk_bytes = 0;        // an upper bound
  std::optional<absl::Duration>
      duration;  // absent while this machine has measured nothing for the program
};

}  // namespace bif::jobs
