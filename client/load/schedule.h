// When the calls of an open loop are due: a Poisson process, as many independent users make it.
//
// The times follow from rate and seed alone and never from how the server fares. A driver that
// waits for an answer before it sends the next call leaves out just those moments at which the
// server stands still, and reports percentiles that nobody saw: Gil Tene's "coordinated omission"
// ("How NOT to Measure Latency"). So a call's latency counts from the time at which it was due,
// however late it was sent.
//
// Thread-compatible.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "client/load/random.h"

namespace bif::client::load {

class PoissonArrivals {
 public:
  // `rate` in calls a second, above 0.
  PoissonArrivals(double rate, uint64_t seed) : rate_(rate), random_(seed) {}

  // The next call's time after the start of the run; never earlier than the one before.
  absl::Duration Next();

 private:
  const double rate_;
  Random random_;
  double seconds_ = 0;
};

}  // namespace bif::client::load
