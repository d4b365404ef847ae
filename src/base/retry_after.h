// When a refused caller had better ask again, carried by a status. Pure functions.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace bif {

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace bif
