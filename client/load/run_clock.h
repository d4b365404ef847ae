// The time of a run, counted from its start. Tests replace it.
//
// Thread-safe.
#pragma once

#include "absl/time/time.h"

namespace bif::client::load {

class RunClock {
 public:
  virtual ~RunClock() = default;
  virtual absl::Duration Elapsed() = 0;
  // Returns at once if that time is over.
  virtual void SleepUntil(absl::Duration elapsed) = 0;
};

// Starts when it is made; never jumps.
class SteadyRunClock final : public RunClock {
 public:
  absl::Duration Elapsed() override;
  void SleepUntil(absl::Duration elapsed) override;

 private:
  static absl::Duration SinceBoot();
  const absl::Duration start_ = SinceBoot();
};

}  // namespace bif::client::load
