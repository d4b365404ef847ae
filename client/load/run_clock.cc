#include "client/load/run_clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace bif::client::load {

absl::Duration SteadyRunClock::SinceBoot() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

absl::Duration SteadyRunClock::Elapsed() { return SinceBoot() - start_; }

void SteadyRunClock::SleepUntil(absl::Duration elapsed) {
  const absl::Duration left = elapsed - Elapsed();
  if (left > absl::ZeroDuration()) absl::SleepFor(left);
}

}  // namespace bif::client::load
