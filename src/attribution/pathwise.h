// The pathwise estimator: from slopes along a tangent to scores with standard errors, and how long
// a tangent has to burn in.
//
// BIF(i, phi) is the derivative of E[l_i] with respect to the weight delta of an observable phi.
// Differentiating the chain itself, with noise and batches held fixed, gives the tangent
//   v_{t+1} = v_t - eps/2 * (nbeta H_B(w_t) v_t + (lambda + gamma) v_t + grad phi(w_t)),
// and the score is a mean over draws (infinitesimal perturbation analysis, Glasserman 1991; the
// same recursion as the differentiation of an SGLD chain with respect to a parameter):
//   BIF(i, phi) = E[ s_i ],   s_i = grad l_i(w_t) . v_t   (a "slope").
// It is a mean and no covariance, so its relative error does not grow as pairs get weaker.
//
// A stretch is a part of a chain that was replayed with a tangent of its own, which began at zero
// and burnt in before the first slope was taken. Slopes of one stretch are autocorrelated,
// stretches are nearly independent. A stretch whose tangent diverged must not be among them.
//
// Plain numbers; pure functions and plain values. Thread-compatible; const methods may be called by
// several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/jackknife.h"
#include "src/attribution/layout.h"
#include "src/attribution/score.h"

namespace bif::attribution {

// What the slope of one pair is at draw t of stretch s stands at index draws[0] + ... + draws[s-1]
// + t. Stretches may differ in length: a budget ends where it ends.
struct StretchLayout {
  std::vector<int64_t> draws;  // of each stretch, at least 1
  int64_t values() const;
};

// How the jackknife cuts slopes. Its standard error is that of Jackknife::Summarise (jackknife.h),
// on means instead of covariances:
//   theta_b = (S - s_b) / (N - n_b)   with the sums and numbers of slopes of all and of block b.
struct SlopeBlocks {
  BlockPlan plan;  // one group
  bool whole_stretches = false;
  // Blocks that are neighbours in a stretch are correlated, so the spread of their means is too
  // small for the variance of the mean of all. For an AR(1) series with the autocorrelation time
  // tau both are known, and this is their ratio, by which variances are multiplied; 1 for whole
  // stretches:
  //   (B - 1) / (B f(L)/f(M) - 1),   f(m) = 1 - 2 rho (1 - rho^m) / (m (1 - rho^2)),
  // rho = (tau - 1)/(tau + 1), B blocks of L draws, stretches of M.
  double variance_factor = 1;

  int64_t blocks() const { return static_cast<int64_t>(plan.blocks.size()); }
  double degrees() const { return static_cast<double>(blocks() - 1); }  // of Student's t
};

// Whole stretches are blocks where there are at least 12: then independence is no assumption about
// the autocorrelation, and 11 degrees of freedom cost 3 % of the interval's width against 19. Fewer
// are cut into contiguous pieces, about 20 in all, at least twice the autocorrelation time long,
// and at least 4 in all (which wins over the length) where there are draws enough.
// `autocorrelation_time`: of slopes, in draws (SlopeAutocorrelationTime); less than 1 counts as 1.
// Fails with INVALID_ARGUMENT if there is no stretch, or an empty one.
absl::StatusOr<SlopeBlocks> MakeSlopeBlocks(const StretchLayout& layout,
                                            double autocorrelation_time);

// The median over rows of the slopes' autocorrelation time, in draws, at least 1. `slopes`: [rows,
// layout.values()]; a few dozen rows, taken evenly, are enough. Longer stretches are cut to the
// shortest one's length. 1 with stretches of fewer than 4 draws, which have to be blocks as they
// are.
double SlopeAutocorrelationTime(const StretchLayout& layout, absl::Span<const float> slopes);

// Means of slopes with jackknife standard errors.
class PathwiseScorer {
 public:
  // INVALID_ARGUMENT for a correlation: slopes say nothing of variances. COVARIANCE is BIF with the
  // other sign.
  static absl::StatusOr<PathwiseScorer> Create(SlopeBlocks blocks, Estimator estimator);

  // `slopes`: [rows, values], a score a row. Slopes that are all 0 (a query without a gradient) and
  // rows with one that is not finite give a constant score of 0. The standard error is infinite
  // with fewer than 2 blocks or 3 slopes. Thread-safe.
  void Score(absl::Span<const float> slopes, absl::Span<ScoreValue> scores) const;

  const SlopeBlocks& blocks() const { return blocks_; }
  double degrees() const { return blocks_.degrees(); }
  // Student's for 95 %, two-sided; 0 with fewer than 2 blocks.
  double t_quantile() const { return t_quantile_; }

 private:
  PathwiseScorer(SlopeBlocks blocks, Estimator estimator);

  SlopeBlocks blocks_;
  Jackknife jackknife_;
  double sign_;
  double t_quantile_ = 0;
};

// How fast a tangent forgets where it began. Along a direction of curvature h it moves towards its
// mean by the factor 1 - eps/2 G (nbeta h + lambda + gamma) a step: slowest in the flat directions,
// h = 0, of which a large network has most. So, with the rate r = eps/2 G (lambda + gamma),
//   time = 1 / -log(1 - r)  steps,
// and after burn-in from zero the slopes of the slowest directions are too small by the factor
// (1 - r)^steps: `bias`. Directions of negative curvature are slower still; the tangent's norm,
// which the engine reports, shows them.
struct TangentRelaxation {
  double time = 0;            // in steps
  int64_t burn_in_steps = 0;  // the fewest that leave no more than `bias`
};

// 2 % is a tenth of the error that a few dozen draws leave, and costs four relaxation times.
inline constexpr double kTangentBias = 0.02;

// `preconditioner`: G, 1 for SGLD; for RMSprop-SGLD a low quantile of the moving elements' G. Fails
// with INVALID_ARGUMENT unless 0 < eps/2 G (gamma + lambda) < 2 and 0 < bias < 1: without
// localisation a tangent in a flat direction grows for ever.
absl::StatusOr<TangentRelaxation> RelaxationOf(double step_size, double gamma, double weight_decay,
                                               double preconditioner = 1,
                                               double bias = kTangentBias);

}  // namespace bif::attribution
