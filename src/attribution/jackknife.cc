#include "src/attribution/jackknife.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/attribution/lanes.h"
#include "src/attribution/row_kernel.h"

namespace bif::attribution {
namespace {

constexpr int64_t kDoubleLanes = sizeof(DoubleLanes) / sizeof(double);

// Covariances without each block, from `total`, the sum of products about the means over all
// blocks.
BIF_MULTIVERSION void WithoutBlocks(int64_t padded_blocks, double total, double inverse_group_size,
                                    const double* __restrict inverse_rest,
                                    const double* __restrict inverse_rest_divisor,
                                    const float* __restrict products,
                                    const double* __restrict x_whole,
                                    const double* __restrict y_whole,
                                    const double* __restrict x_without,
                                    const double* __restrict y_without, double* __restrict out) {
  for (int64_t b = 0; b < padded_blocks; ++b) {
    const double change = x_whole[b] * y_whole[b] * inverse_group_size -
                          static_cast<double>(products[b]) -
                          x_without[b] * y_without[b] * inverse_rest[b];
    out[b] = (total + change) * inverse_rest_divisor[b];
  }
}

BIF_INLINE double InverseRoot(double variance) {
  return variance > 0 ? 1.0 / std::sqrt(variance) : 0.0;
}

BIF_MULTIVERSION void InverseRoots(int64_t padded_blocks, double* variances) {
  for (int64_t b = 0; b < padded_blocks; ++b) variances[b] = InverseRoot(variances[b]);
}

BIF_INLINE double Correlation(double covariance, double x_inverse, double y_inverse) {
  return std::clamp(covariance * x_inverse * y_inverse, -1.0, 1.0);
}

BIF_MULTIVERSION void Correlations(int64_t padded_blocks, const double* x_inverses,
                                   const double* y_inverses, double* __restrict covariances) {
  for (int64_t b = 0; b < padded_blocks; ++b)
    covariances[b] = Correlation(covariances[b], x_inverses[b], y_inverses[b]);
}

// Sum of squared distances from the mean, of what is a block; what pads is 0.
BIF_MULTIVERSION double SquaresAboutMean(int64_t padded_blocks, double inverse_blocks,
                                         const double* values, const double* is_block) {
  DoubleLanes value, sum = {}, squares = {};
  for (int64_t b = 0; b < padded_blocks; b += kDoubleLanes) {
    Load(values + b, value);
    sum += value;
  }
  const double mean = Total(sum) * inverse_blocks;
  for (int64_t b = 0; b < padded_blocks; b += kDoubleLanes) {
    DoubleLanes counts;
    Load(values + b, value);
    Load(is_block + b, counts);
    const DoubleLanes distance = (value - mean) * counts;
    squares += distance * distance;
  }
  return Total(squares);
}

}  // namespace

Jackknife::Jackknife(const BlockPlan& plan)
    : blocks_(static_cast<int64_t>(plan.blocks.size())),
      padded_blocks_(plan.padded_blocks()),
      groups_(plan.groups),
      inverse_group_size_(1.0 / static_cast<double>(plan.group_size)),
      inverse_divisor_(1.0 / static_cast<double>(plan.divisor())),
      inverse_rest_(padded_blocks_),
      inverse_rest_divisor_(padded_blocks_),
      is_block_(padded_blocks_),
      too_few_(blocks_ < 2) {
  for (int64_t b = 0; b < blocks_; ++b) {
    const Block& block = plan.blocks[b];
    const int64_t rest = plan.group_size - block.size;
    const int64_t divisor =
        rest > 0 ? plan.divisor() - block.size : plan.divisor() - (plan.group_size - 1);
    if (divisor < 1) too_few_ = true;
    inverse_rest_[b] = rest > 0 ? 1.0 / static_cast<double>(rest) : 0.0;
    inverse_rest_divisor_[b] = divisor > 0 ? 1.0 / static_cast<double>(divisor) : 0.0;
    is_block_[b] = 1;
  }
}

GroupSums Jackknife::NewGroupSums() const {
  return {std::vector<double>(padded_blocks_), std::vector<double>(padded_blocks_)};
}

LeaveOneOut Jackknife::NewLeaveOneOut() const { return {0, std::vector<double>(padded_blocks_)}; }

void Jackknife::SumGroups(const float* block_sums, GroupSums& sums) const {
  const int64_t group_blocks = blocks_ / groups_;  // every chain is cut alike
  for (int64_t begin = 0; begin < blocks_; begin += group_blocks) {
    const double whole = SumInDouble(block_sums + begin, group_blocks);
    for (int64_t b = begin; b < begin + group_blocks; ++b) {
      sums.whole[b] = whole;
      sums.without[b] = whole - static_cast<double>(block_sums[b]);
    }
  }
}

double Jackknife::Total(const float* products, const GroupSums& x, const GroupSums& y) const {
  double total = SumInDouble(products, padded_blocks_);
  const int64_t group_blocks = blocks_ / groups_;
  for (int64_t b = 0; b < blocks_; b += group_blocks)
    total -= x.whole[b] * y.whole[b] * inverse_group_size_;
  return total;
}

double Jackknife::MeanPart(const GroupSums& x) const {
  double part = 0;
  for (int64_t b = 0; b < blocks_; b += blocks_ / groups_)
    part += x.whole[b] * x.whole[b] * inverse_group_size_;
  return part;
}

void Jackknife::Covariances(const float* products, const GroupSums& x, const GroupSums& y,
                            LeaveOneOut& covariances) const {
  const double total = Total(products, x, y);
  covariances.whole = total * inverse_divisor_;
  WithoutBlocks(padded_blocks_, total, inverse_group_size_, inverse_rest_.data(),
                inverse_rest_divisor_.data(), products, x.whole.data(), y.whole.data(),
                x.without.data(), y.without.data(), covariances.without.data());
}

void Jackknife::InvertRoots(LeaveOneOut& variances) const {
  variances.whole = InverseRoot(variances.whole);
  InverseRoots(padded_blocks_, variances.without.data());
}

double Jackknife::Normalised(const LeaveOneOut& x_inverses, const LeaveOneOut& y_inverses,
                             double covariance) {
  return Correlation(covariance, x_inverses.whole, y_inverses.whole);
}

void Jackknife::Normalise(const LeaveOneOut& x_inverses, const LeaveOneOut& y_inverses,
                          LeaveOneOut& covariances) const {
  covariances.whole = Normalised(x_inverses, y_inverses, covariances.whole);
  Correlations(padded_blocks_, x_inverses.without.data(), y_inverses.without.data(),
               covariances.without.data());
}

Estimate Jackknife::Summarise(const LeaveOneOut& estimates) const {
  if (too_few_) return {estimates.whole, std::numeric_limits<double>::infinity()};
  const auto blocks = static_cast<double>(blocks_);
  const double squares =
      SquaresAboutMean(padded_blocks_, 1 / blocks, estimates.without.data(), is_block_.data());
  return {estimates.whole, std::sqrt(squares * (blocks - 1) / blocks)};
}

}  // namespace bif::attribution
