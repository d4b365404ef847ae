// All scores between the tokens of one sequence and those of another: S_i x S_j traces multiplied
// with each other, with jackknife standard errors.
//
// Covariances are linear, so scores add up: the sum over a row is the score of that token with the
// *sum* of the other sequence's losses (token to completion), and the sum over everything the score
// of the two sums. These sums are traces of their own here, one more row and one more column, and
// so have error bars of their own: those of the entries cannot be added, as they rise and fall
// together. With correlations they are correlations with the sums, and nothing adds up.
//
// Thread-compatible; Score may be called by several threads.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/pair_scorer.h"
#include "src/attribution/score.h"

namespace bif::attribution {

class TokenMatrix {
 public:
  // `rows` and `columns`: traces [tokens, layout.values()] of at least one token each. Keeps a
  // centred copy of all. INVALID_ARGUMENT if a mean is taken over fewer than 2 draws.
  static absl::StatusOr<TokenMatrix> Create(const TraceLayout& layout, Estimator estimator,
                                            Centring centring, absl::Span<const float> rows,
                                            absl::Span<const float> columns,
                                            bool standard_errors = true);

  int64_t rows() const { return static_cast<int64_t>(rows_.size()); }
  int64_t columns() const { return static_cast<int64_t>(columns_.size()) - 1; }
  int64_t blocks() const { return pairs_.blocks(); }
  double t_quantile() const { return pairs_.t_quantile(); }

  // The score of the two sums.
  const ScoreValue& total() const { return total_; }

  // entries[i * columns() + j] is row first + i with column j; completions[i] that row with the sum
  // of all columns. A token without variance (one that a mask hides) scores 0.
  void Score(int64_t first, int64_t count, absl::Span<ScoreValue> entries,
             absl::Span<ScoreValue> completions) const;

 private:
  explicit TokenMatrix(PairScorer pairs) : pairs_(std::move(pairs)) {}

  PairScorer pairs_;
  std::vector<CentredTrace> rows_;
  std::vector<CentredTrace> columns_;  // the last one is the sum of the others
  ScoreValue total_;
};

}  // namespace bif::attribution
