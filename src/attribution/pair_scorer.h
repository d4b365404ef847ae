// What every score of two traces is made of: both centred once, products over blocks of draws, and
// from these the covariance or correlation with its jackknife standard error. Scorer (many rows
// against few queries) and TokenMatrix (all pairs of two sequences' tokens) differ only in who
// multiplies what.
//
// Means are taken in double; products run in fp32 on centred traces, block by block, and blocks are
// added up in double. Thread-compatible; const methods may be called by several threads.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/jackknife.h"
#include "src/attribution/layout.h"
#include "src/attribution/pair_screen.h"
#include "src/attribution/score.h"

namespace bif::attribution {

// A centred trace and its sums over blocks. Made by PairScorer::NewTrace.
struct CentredTrace {
  std::vector<float> averages;  // over chains, with CHAIN_MEAN
  std::vector<float> means;     // a group
  std::vector<float> packed;
  std::vector<float> sums;     // a block
  std::vector<float> squares;  // a block
  GroupSums group_sums;
  LeaveOneOut inverse_deviations;  // for correlations
  bool constant = false;           // no variance, or a value that is not finite
};

class PairScorer {
 public:
  // INVALID_ARGUMENT if a mean is taken over fewer than 2 draws. Without `standard_errors` blocks
  // are there only to bound the length of fp32 sums.
  static absl::StatusOr<PairScorer> Create(const TraceLayout& layout, Estimator estimator,
                                           Centring centring, bool standard_errors);

  CentredTrace NewTrace() const;
  // `trace`: layout.values() numbers, chain after chain.
  void Load(const float* trace, CentredTrace& centred) const;
  // The trace of the sum of the traces. Covariances are linear in it, so its covariance with
  // another trace is the sum of theirs. Constant traces add nothing.
  void LoadSum(absl::Span<const CentredTrace> traces, CentredTrace& sum) const;

  // Numbers for one pair after another; one a thread.
  struct Scratch {
    std::vector<float> products;
    LeaveOneOut estimates;
  };
  Scratch NewScratch() const;
  ScoreValue Score(const CentredTrace& x, const CentredTrace& y, Scratch& scratch) const;
  // The same with the products known: products[b] = sum over block b of x * y, padded with zeros.
  ScoreValue ScoreProducts(const CentredTrace& x, const CentredTrace& y,
                           absl::Span<const float> products, Scratch& scratch) const;
  // A query's side and a row's of the screen (pair_screen.h). `query` is `trace` loaded; `norm` is
  // what ShiftRow gives. With covariances `row` is not looked at.
  ScreenQuery ScreenOf(const float* trace, const CentredTrace& query) const;
  bool ScreensLoadedRows() const { return IsCorrelation(estimator_); }
  ScreenTerms ScreenTermsOf(float norm, const CentredTrace& row) const;
  // The variance of x, whatever the estimator.
  ScoreValue Variance(const CentredTrace& x, Scratch& scratch) const;

  const TraceLayout& layout() const { return layout_; }
  const BlockPlan& plan() const { return plan_; }
  int64_t blocks() const { return jackknife_.blocks(); }
  // Student's for 95 %, two-sided, with blocks() - 1 degrees of freedom; 0 without standard errors.
  double t_quantile() const { return t_quantile_; }

 private:
  PairScorer(const TraceLayout& layout, Estimator estimator, Centring centring,
             bool standard_errors);
  void FinishSums(CentredTrace& centred) const;

  TraceLayout layout_;
  Estimator estimator_;
  Centring centring_;
  bool standard_errors_;
  BlockPlan plan_;
  Jackknife jackknife_;
  double t_quantile_ = 0;
};

}  // namespace bif::attribution
