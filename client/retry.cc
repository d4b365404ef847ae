#include "client/retry.h"

#include <algorithm>
#include <cmath>

#include "client/error.h"

namespace bif::client {

std::optional<absl::Duration> DelayBeforeRetry(const RetryPolicy& policy,
                                               const absl::Status& status, bool repeatable,
                                               int attempts, absl::Duration time_left,
                                               double uniform) {
  if (status.ok() || !repeatable || attempts >= policy.max_attempts) return std::nullopt;

  const absl::Duration backoff =
      std::min(policy.max_backoff,
               policy.initial_backoff * std::pow(policy.multiplier, std::max(0, attempts - 1)));
  absl::Duration delay;
  if (const auto asked = DetailsOf(status).retry_delay) {
    delay = *asked + policy.initial_backoff * (policy.jitter * uniform);
  } else if (status.code() == absl::StatusCode::kUnavailable) {
    delay = backoff * (1.0 - policy.jitter * (1.0 - uniform));
  } else {
    return std::nullopt;
  }
  if (delay >= time_left) return std::nullopt;
  return delay;
}

}  // namespace bif::client
