#include "client/load/percentile.h"

#include <algorithm>
#include <cmath>

namespace bif::client::load {

absl::Duration NearestRank(const std::vector<absl::Duration>& sorted, double percent) {
  const double count = static_cast<double>(sorted.size());
  // 99.9 / 100 * 1000 is a little more than 999 in floating point and must not become rank 1000.
  const double exact = percent * count / 100;
  const double rank = std::ceil(exact - 1e-9 * count);
  return sorted[static_cast<size_t>(std::clamp(rank, 1.0, count)) - 1];
}

Spread SpreadOf(std::vector<absl::Duration> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {.p50 = NearestRank(values, 50),
          .p90 = NearestRank(values, 90),
          .p99 = NearestRank(values, 99),
          .p999 = NearestRank(values, 99.9),
          .max = values.back()};
}

}  // namespace bif::client::load
