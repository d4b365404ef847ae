// From traces to scores: the estimators of docs/attribution.md (arXiv 2509.26544, eq. 8-12) with
// jackknife standard errors.
//
// Plain numbers: no storage, no LibTorch. Everything here is a pure function or a plain value;
// thread-compatible.
//
// A trace is C*T floats, chain after chain. Means are taken in double; products run in fp32 on
// centred traces, block by block, and blocks are added up in double.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/jackknife.h"
#include "src/attribution/layout.h"

namespace bif::attribution {

// The numbers are those of bif.v1.
enum class Estimator : uint8_t { kBif = 1, kNormalizedBif = 2, kCovariance = 3, kCorrelation = 4 };

std::string_view EstimatorName(Estimator estimator);  // "NORMALIZED_BIF"

struct ScoreValue {
  float score = 0;
  float standard_error = 0;  // infinite where there are too few draws to tell
  // One of the traces has no variance (or a value that is not finite): score and standard error are
  // 0.
  bool constant = false;
};

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

  int64_t queries() const { return query_count_; }
  // Degrees of freedom of the intervals are blocks - 1; t_quantile is Student's for 95 %,
  // two-sided.
  int64_t blocks() const { return jackknife_.blocks(); }
  double t_quantile() const { return t_quantile_; }

 private:
  Scorer(const TraceLayout& layout, Estimator estimator, Centring centring, bool standard_errors);

  // A centred trace and its sums over blocks.
  struct Series {
    std::vector<float> averages;  // over chains, with CHAIN_MEAN
    std::vector<float> means;     // a group
    std::vector<float> packed;
    std::vector<float> sums;
    std::vector<float> squares;
    std::vector<double> variances;  // over all blocks, then without each
    bool constant = false;
  };
  Series NewSeries() const;
  void Load(const float* trace, Series& series) const;
  ScoreValue ScoreOne(const Series& row, const Series& query, absl::Span<float> products,
                      absl::Span<double> cov) const;
  friend void SelfVariance(const TraceLayout&, Centring, absl::Span<const float>,
                           absl::Span<ScoreValue>);

  TraceLayout layout_;
  Estimator estimator_;
  Centring centring_;
  bool standard_errors_;
  BlockPlan plan_;
  Jackknife jackknife_;
  double t_quantile_ = 0;
  int64_t query_count_ = 0;
  std::vector<Series> query_series_;
};

// Variance of each row's own trace with its jackknife standard error (self-influence). A layout
// with too few draws to take a variance gives constant scores.
void SelfVariance(const TraceLayout& layout, Centring centring, absl::Span<const float> rows,
                  absl::Span<ScoreValue> scores);

// The score's interval of 95 % leaves out zero.
bool Distinguishable(const ScoreValue& value, double t_quantile);

// What the sign means. Moving a training sample's weight up by d(beta) changes E[phi] by BIF *
// d(beta), so a negative BIF lowers phi: that helps if phi is a loss, and hurts if phi is wanted
// large (probability, margin, logit). +1: a positive score helps; -1: a negative one does.
int HelpfulSign(Estimator estimator, bool observable_is_loss);
bool Helps(const ScoreValue& value, int helpful_sign);
std::string_view SignWord(const ScoreValue& value,
                          int helpful_sign);  // "helps", "hurts" or "neutral" (a score of 0)

}  // namespace bif::attribution
