// From traces to scores: the estimators of docs/attribution.md (arXiv 2509.26544, eq. 8-12) with
// jackknife standard errors.
//
// Plain numbers: no storage, no LibTorch. Everything here is a pure function or a plain value;
// thread-compatible.
//
// A trace is C*T floats, chain after chain.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/pair_scorer.h"
#include "src/attribution/ranking.h"
#include "src/attribution/score.h"

namespace bif::attribution {

// Scores of rows against a fixed set of queries.
class Scorer {
 public:
  // `queries`: q traces, row major [q, layout.values()]. Fails with INVALID_ARGUMENT if a mean is
  // taken over fewer than 2 draws. Without `standard_errors` they are 0 and scoring against many
  // queries is faster.
  static absl::StatusOr<Scorer> Create(const TraceLayout& layout, Estimator estimator,
                                       Centring centring, absl::Span<const float> queries,
                                       bool standard_errors = true);

  // `rows`: r traces [r, values]; scores[i * q + j] is row i against query j. Thread-safe: several
  // threads may score different rows with one Scorer.
  void Score(absl::Span<const float> rows, absl::Span<ScoreValue> scores) const;

  // Adds the scores of the rows, candidates first, first + 1, ..., to the rankings, one a query and
  // all of equally many candidates.
  // As Score and Ranking::Add, but exact scores and standard errors are computed only for what a
  // ranking may keep (pair_screen.h).
  // Thread-safe where each thread has rankings of its own.
  void Rank(absl::Span<const float> rows, int64_t first, absl::Span<Ranking> rankings) const;

  int64_t queries() const { return static_cast<int64_t>(queries_.size()); }
  // Degrees of freedom of the intervals are blocks - 1; t_quantile is Student's for 95 %,
  // two-sided.
  int64_t blocks() const { return pairs_.blocks(); }
  double t_quantile() const { return pairs_.t_quantile(); }

 private:
  explicit Scorer(PairScorer pairs) : pairs_(std::move(pairs)) {}

  PairScorer pairs_;
  std::vector<CentredTrace> queries_;
  std::vector<ScreenQuery> screens_;  // of each query
};

// Variance of each row's own trace with its jackknife standard error (self-influence). A layout
// with too few draws to take a variance gives constant scores.
void SelfVariance(const TraceLayout& layout, Centring centring, absl::Span<const float> rows,
                  absl::Span<ScoreValue> scores);

}  // namespace bif::attribution
