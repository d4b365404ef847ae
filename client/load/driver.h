// Runs a load: an open loop, whose calls are due whether or not the server keeps up, or a closed
// one, in which so many callers each wait for their answer before they ask again.
//
// Only an open loop shows what users of a busy server see (client/load/schedule.h); a closed one
// shows what the server can do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "client/load/caller.h"
#include "client/load/record.h"
#include "client/load/requests.h"
#include "client/load/run_clock.h"

namespace bif::client::load {

struct DriverOptions {
  double rate = 0;      // calls a second, of an open loop; 0: a closed loop
  int concurrency = 1;  // of a closed loop
  absl::Duration warm_up = absl::ZeroDuration();  // calls that are due in it are not recorded
  absl::Duration duration = absl::Seconds(10);    // after the warm-up; then no call is due any more
  int64_t calls = 0;                              // ends after so many, warm-up included; 0: never
  // Calls of an open loop that are on their way at the same time, so that a server that answers
  // nothing does not fill this process's memory. Those beyond wait here; their time runs.
  size_t max_outstanding = 10'000;
  uint64_t seed = 1;
};

// All recorded calls in the order of their ends, once the last has ended.
std::vector<CallRecord> Drive(const DriverOptions& options, Requests& requests, Caller& caller,
                              RunClock& clock);

}  // namespace bif::client::load
