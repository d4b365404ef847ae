// Covariances, correlations and variances with delete-one-block jackknife standard errors, from
// sums over blocks.
//
// With a group's sums P = sum xy, Sx, Sy over its n draws, the covariance is
//   sum_g (P - Sx*Sy/n) / sum_g (n - 1),
// which is exact whatever constant was subtracted from x and y beforehand. Without block b of group
// g:
//   P - p_b - (Sx - sx_b)(Sy - sy_b) / (n - n_b)   in place of that group's term, and n_b less in
//   the divisor.
// POOLED and CHAIN_MEAN have one group, WITHIN_CHAIN one a chain. The standard error is
//   sqrt((B - 1)/B * sum_b (theta_b - mean theta)^2)   (Efron and Stein 1981; blocks: Kuensch
//   1989).
//
// Thread-compatible; const methods may be called by several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/attribution/layout.h"

namespace bif::attribution {

struct Estimate {
  double value = 0;
  double standard_error = 0;  // infinite if there are too few draws to leave a block out
};

class Jackknife {
 public:
  explicit Jackknife(const BlockPlan& plan);

  int64_t blocks() const { return static_cast<int64_t>(group_of_.size()); }

  // cov[0] = the covariance, cov[1 + b] = without block b. The spans have blocks() numbers, `cov`
  // one more.
  void Covariances(absl::Span<const float> products, absl::Span<const float> x_sums,
                   absl::Span<const float> y_sums, absl::Span<double> cov) const;

  // From an estimate over all blocks and those without one.
  Estimate Summarise(absl::Span<const double> values) const;

 private:
  std::vector<int64_t> group_of_;
  int64_t groups_;
  double inverse_group_size_;
  double inverse_divisor_;
  std::vector<double> inverse_rest_;          // 1 / (n - n_b), or 0 if the block is the whole group
  std::vector<double> inverse_rest_divisor_;  // 1 / the divisor without block b
  bool too_few_ = false;
};

}  // namespace bif::attribution
