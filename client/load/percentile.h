// Exact percentiles of recorded values, by nearest rank: always a value that was recorded, never
// one in between or a bucket's border.
#pragma once

#include <vector>

#include "absl/time/time.h"

namespace bif::client::load {

// The smallest value that at least `percent` % of the values do not exceed. `sorted` is in
// ascending order and not empty; `percent` is in (0, 100].
absl::Duration NearestRank(const std::vector<absl::Duration>& sorted, double percent);

struct Spread {
  absl::Duration p50, p90, p99, p999, max;
};
// All zero if there are no values.
Spread SpreadOf(std::vector<absl::Duration> values);

}  // namespace bif::client::load
