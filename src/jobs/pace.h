// How much work to hand to the device at once: as much as keeps it busy, as little as keeps an
// interactive query's wait short. Doubles while calls are quick and halves when they are slow.
// Thread-compatible.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace bif::jobs {

class Pace {
 public:
  Pace(int64_t first, int64_t largest) : amount_(first), largest_(largest) {}

  int64_t amount() const { return amount_; }
  // A call with amount() took this long.
  void Took(absl::Duration time) {
    if (time < absl::Milliseconds(50)) amount_ = std::min(largest_, amount_ * 2);
    if (time > absl::Milliseconds(200)) amount_ = std::max<int64_t>(1, amount_ / 2);
  }

 private:
  int64_t amount_;
  const int64_t largest_;
};

}  // namespace bif::jobs
