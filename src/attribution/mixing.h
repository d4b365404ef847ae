// Two estimates of one score made into one: the pathwise estimate p and the covariance estimate c,
// with jackknife variances s_p^2 and s_c^2 on d_p and d_c degrees of freedom.
//
// Given the true variances, the best weight of p is V_c / (V_p + V_c). Weights from each pair's own
// estimated variances would be noisy, and the variance that comes with them too small (Meier 1953).
// So the log ratio x_i = log(s_c,i^2 / s_p,i^2) of pair i is shrunk towards the mean over all pairs
// of a query, by as much as its noise makes up of its spread (empirical Bayes as in Smyth 2004,
// section 6). Under normality log(s^2 / V) is the logarithm of chi^2_d / d, with
//   mean  m(d) = digamma(d/2) - log(d/2),     variance  v(d) = trigamma(d/2),
// so that x_i has the noise v = v(d_p) + v(d_c), and by matching moments
//   mu   = mean_i(x_i) - (m(d_c) - m(d_p)),   tau^2 = max(0, var_i(x_i) - v),
//   S    = tau^2 / (tau^2 + v),               w_i   = 1 / (1 + exp(-(mu + S (x_i - mean(x))))).
// S is 0 where all pairs have one weight, and near 1 where their variances truly differ.
//
// The mixture is m_i = w_i p_i + (1 - w_i) c_i, with u_p = w_i^2 s_p^2, u_c = (1 - w_i)^2 s_c^2 and
//   variance = u_p + u_c + 4 (1 - w_i) u_p / d_p + 4 w_i u_c / d_c,
//   degrees  = (u_p + u_c)^2 / (u_p^2 / d_p + u_c^2 / d_c)          (Satterthwaite 1946).
// The last two terms of the variance are Meier's correction for weights that are functions of the
// same variances, for any weight: to first order E[w^2 s_p^2] misses E[w^2] V_p by 2 Cov(w^2,
// s_p^2), and d log w / d log s_p^2 = -(1 - w). It is taken in full though shrunk weights move by S
// of it, because the errors of a query's pairs share its trace, so that the mean of x has a noise
// too, which the spread over pairs does not show.
//
// p and c come from other draws, or from few of the same; their errors are taken as independent.
//
// Plain numbers; thread-compatible, const methods may be called by several threads.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "src/attribution/score.h"
#include "src/attribution/student_t.h"

namespace bif::attribution {

struct MixedScore {
  ScoreValue value;
  double pathwise_weight = 0;  // w
  double degrees = 0;          // of Student's t for this score's interval
  double t_quantile = 0;       // 95 %, two-sided
};

class Mixer {
 public:
  // From the scores of one query's pairs that have both: pathwise[i] and covariance[i] are of the
  // same pair, estimator and sign. Pairs of which one is constant or has no finite standard error
  // above 0 teach nothing; with none that do, weights are each pair's own.
  Mixer(absl::Span<const ScoreValue> pathwise, double pathwise_degrees,
        absl::Span<const ScoreValue> covariance, double covariance_degrees);

  // One pair. Where one of the two has no finite standard error, or is constant, the other one is
  // the answer, with its degrees of freedom.
  MixedScore Mix(const ScoreValue& pathwise, const ScoreValue& covariance) const;

  double common_weight() const;                    // of the pathwise estimate: at x_i = mean(x)
  double own_share() const { return own_share_; }  // S above: 0 all common, 1 each pair its own

  // Share of the pairs whose two estimates differ by more than their errors allow at 95 %: 0.05 is
  // what chance gives. Far above it, one of the two is biased (a tangent that has not burnt in, a
  // preconditioner held fixed, chains that drift), and a mixture inherits that.
  double share_that_disagree() const { return share_that_disagree_; }

 private:
  double pathwise_degrees_;
  double covariance_degrees_;
  StudentTQuantiles quantiles_;  // 95 %, two-sided
  double mean_log_ratio_ = 0;    // mean(x)
  double common_log_ratio_ = 0;  // mu
  double own_share_ = 1;
  double share_that_disagree_ = 0;
};

}  // namespace bif::attribution
