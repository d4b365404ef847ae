// When a failed call is made again. Pure: no clock, no randomness of its own, so that every
// decision can be tested.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace bif::client {

struct RetryPolicy {
  int max_attempts = 6;  // the first one included; 1 turns retries off
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);
  double multiplier = 2.0;
  // Share of a backoff that is random: 0.5 draws from [0.5, 1] times the backoff, so that clients
  // that failed together do not come back together.
  double jitter = 0.5;
};

// How long to wait before the next attempt; nothing if `status` must be given to the caller.
//
//   repeatable    a second execution does no harm: the call is idempotent, or carries a request_id
//   attempts      made so far, at least 1
//   time_left     until the call's deadline; a wait that would outlast it is not begun
//   uniform       a random number in [0, 1)
//
// A RetryInfo from the server decides alone, whatever the code: the delay that it asks for is kept
// to, jitter only adds. Without one, only UNAVAILABLE is repeated, after exponential backoff.
std::optional<absl::Duration> DelayBeforeRetry(const RetryPolicy& policy,
                                               const absl::Status& status, bool repeatable,
                                               int attempts, absl::Duration time_left,
                                               double uniform);

}  // namespace bif::client
