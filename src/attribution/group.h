// The influence of a set of samples, and what a query's loss would be without it.
//
// Covariances and slopes are linear in the training sample's trace, so the score of a set is the
// sum of the scores, and it is the score of one trace: the sum of the traces. Its standard error
// must come from that trace (or from the sum of the slopes): errors of one query's scores come from
// the same draws, so neither they nor their squares add up. Correlations do not add up at all.
//
// Removing. In the posterior  p(w) ~ exp(-(nbeta/n) sum_i l_i(w) - gamma/2 |w - w*|^2 - ...)  every
// sample has the weight beta_i = nbeta/n, and BIF(i, phi) = d E[phi] / d beta_i. Removing sample i
// is the change of its weight by -nbeta/n, everything else as it is: the others keep nbeta/n (they
// are not raised to nbeta/(n - 1)), and so do gamma and w*. Summed over the set, to first order,
//   change of E[phi] = -(nbeta/n) * BIF(set, phi).
// A set that helps has a negative BIF for a loss phi, so that its removal raises the loss.
//
// First order means: of the response to the weight. The error grows with the square of the set's
// weight in the directions in which it informs the posterior; for a linear model it is of the
// relative size of the set's leverage, (nbeta/n) A_set S A_set^T. The interval covers the noise of
// the draws, and not that.
//
// Plain numbers; pure functions and plain values. Thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/score.h"

namespace bif::attribution {

// Adds traces (or slopes) up, number by number, in double.
class GroupTrace {
 public:
  explicit GroupTrace(int64_t values) : sums_(values) {}
  // One sample's trace, or a part of it: values[first + t]. Precondition: it fits.
  void Add(absl::Span<const float> trace, double weight = 1);
  // The other's members too. Precondition: as many values.
  void Merge(const GroupTrace& other);
  // The sum as one row for Scorer or PathwiseScorer. With `centred` (for covariances, which do not
  // see constants) its mean is taken off first, lest a large mean cost digits in fp32.
  std::vector<float> Row(bool centred) const;
  int64_t members() const { return members_; }

 private:
  std::vector<double> sums_;
  int64_t members_ = 0;
};

// What the expectation of a query's observable does when the set is taken out.
struct RemovalPrediction {
  double change = 0;          // in the observable's units
  double standard_error = 0;  // infinite where there are too few draws to tell
  double low = 0;             // interval of 95 %
  double high = 0;
};

// `group`: the score of the set, estimator BIF or COVARIANCE. `rows`: n, the samples that the
// posterior was sampled with. `t_quantile`: of the score's interval. Fails with INVALID_ARGUMENT
// for a correlation, which has lost the units, and unless nbeta > 0 and rows > 0.
absl::StatusOr<RemovalPrediction> PredictRemoval(const ScoreValue& group, Estimator estimator,
                                                 double nbeta, int64_t rows, double t_quantile);

}  // namespace bif::attribution
