#include "src/attribution/jackknife.h"

#include <cmath>
#include <limits>

namespace bif::attribution {

Jackknife::Jackknife(const BlockPlan& plan)
    : groups_(plan.groups),
      inverse_group_size_(1.0 / static_cast<double>(plan.group_size)),
      inverse_divisor_(1.0 / static_cast<double>(plan.divisor())),
      too_few_(plan.blocks.size() < 2) {
  for (const Block& block : plan.blocks) {
    const int64_t rest = plan.group_size - block.size;
    const int64_t divisor =
        rest > 0 ? plan.divisor() - block.size : plan.divisor() - (plan.group_size - 1);
    if (divisor < 1) too_few_ = true;
    group_of_.push_back(block.group);
    inverse_rest_.push_back(rest > 0 ? 1.0 / static_cast<double>(rest) : 0.0);
    inverse_rest_divisor_.push_back(divisor > 0 ? 1.0 / static_cast<double>(divisor) : 0.0);
  }
}

void Jackknife::Covariances(absl::Span<const float> products, absl::Span<const float> x_sums,
                            absl::Span<const float> y_sums, absl::Span<double> cov) const {
  const size_t blocks = group_of_.size();
  double total = 0;  // sum over groups of P - Sx*Sy/n
  for (size_t b = 0; b < blocks; ++b) total += static_cast<double>(products[b]);

  size_t begin = 0;
  for (int64_t group = 0; group < groups_; ++group) {
    size_t end = begin;
    double x_sum = 0;
    double y_sum = 0;
    for (; end < blocks && group_of_[end] == group; ++end) {
      x_sum += static_cast<double>(x_sums[end]);
      y_sum += static_cast<double>(y_sums[end]);
    }
    const double correction = x_sum * y_sum * inverse_group_size_;
    total -= correction;
    // What leaving block b out changes in the total; finished below, once all groups' corrections
    // are in it.
    for (size_t b = begin; b < end; ++b) {
      cov[1 + b] = correction - static_cast<double>(products[b]) -
                   (x_sum - static_cast<double>(x_sums[b])) *
                       (y_sum - static_cast<double>(y_sums[b])) * inverse_rest_[b];
    }
    begin = end;
  }
  cov[0] = total * inverse_divisor_;
  for (size_t b = 0; b < blocks; ++b) cov[1 + b] = (total + cov[1 + b]) * inverse_rest_divisor_[b];
}

Estimate Jackknife::Summarise(absl::Span<const double> values) const {
  if (too_few_) return {values[0], std::numeric_limits<double>::infinity()};
  const size_t blocks = group_of_.size();
  double mean = 0;
  for (size_t b = 1; b <= blocks; ++b) mean += values[b];
  mean /= static_cast<double>(blocks);
  double squares = 0;
  for (size_t b = 1; b <= blocks; ++b) squares += (values[b] - mean) * (values[b] - mean);
  return {values[0],
          std::sqrt(squares * static_cast<double>(blocks - 1) / static_cast<double>(blocks))};
}

}  // namespace bif::attribution
