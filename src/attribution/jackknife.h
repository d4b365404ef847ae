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
// This runs for every pair of a row and a query, so everything is one pass over arrays of
// BlockPlan::padded_blocks() numbers, in which a number that stands for no block counts nothing.
//
// Thread-compatible; const methods may be called by several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "src/attribution/layout.h"

namespace bif::attribution {

struct Estimate {
  double value = 0;
  double standard_error = 0;  // infinite if there are too few draws to leave a block out
};

// What the jackknife needs of a trace, by block.
struct GroupSums {
  std::vector<double> whole;    // the sum over the block's group: Sx
  std::vector<double> without;  // the same less the block: Sx - sx_b
};

// An estimate from all blocks, and those from all but one.
struct LeaveOneOut {
  double whole = 0;
  std::vector<double> without;
};

class Jackknife {
 public:
  explicit Jackknife(const BlockPlan& plan);

  int64_t blocks() const { return blocks_; }

  GroupSums NewGroupSums() const;
  LeaveOneOut NewLeaveOneOut() const;

  void SumGroups(const float* block_sums, GroupSums& sums) const;

  void Covariances(const float* products, const GroupSums& x, const GroupSums& y,
                   LeaveOneOut& covariances) const;
  // The whole of it alone.
  double Covariance(const float* products, const GroupSums& x, const GroupSums& y) const {
    return Total(products, x, y) * inverse_divisor_;
  }

  // sum_g Sx^2 / n: what Total takes off for x with itself.
  double MeanPart(const GroupSums& x) const;

  // Turns variances into 1 / sqrt(variance), 0 where there is no variance.
  void InvertRoots(LeaveOneOut& variances) const;
  // Turns covariances into correlations.
  void Normalise(const LeaveOneOut& x_inverses, const LeaveOneOut& y_inverses,
                 LeaveOneOut& covariances) const;

  // The whole of it alone.
  static double Normalised(const LeaveOneOut& x_inverses, const LeaveOneOut& y_inverses,
                           double covariance);

  Estimate Summarise(const LeaveOneOut& estimates) const;

 private:
  // The sum of products about the means.
  double Total(const float* products, const GroupSums& x, const GroupSums& y) const;

  int64_t blocks_;
  int64_t padded_blocks_;
  int64_t groups_;
  double inverse_group_size_;
  double inverse_divisor_;
  std::vector<double> inverse_rest_;          // 1 / (n - n_b), or 0 if the block is the whole group
  std::vector<double> inverse_rest_divisor_;  // 1 / the divisor without block b
  std::vector<double> is_block_;              // 1, or 0 for what pads
  bool too_few_ = false;
};

}  // namespace bif::attribution
