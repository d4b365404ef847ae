// From traces to scores: the estimators of docs/attribution.md (arXiv 2509.26544, eq. 8-12) with jackknife standard errors.
//
// Plain numbers: no storage, no LibTorch. Everything here is a pure function or a plain value; thread-compatible.
//
// A trace is C*T floats, chain after chain. Means are taken in double; products run in fp32 on centred traces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bif::attribution {

// The numbers are those of bif.v1.
enum class Estimator : uint8_t { kBif = 1, kNormalizedBif = 2, kCovariance = 3, kCorrelation = 4 };
enum class Centring : uint8_t { kPooled = 1, kWithinChain = 2, kChainMean = 3 };

std::string_view EstimatorName(Estimator estimator);
std::string_view CentringName(Centring centring);

// How a trace of C*T numbers falls into chains and jackknife blocks.
struct TraceLayout {
  int64_t chains = 0;
  int64_t draws = 0;  // a chain
  int64_t block_draws = 0;  // length of a block; the last block of a chain takes the remainder
  int64_t values() const { return chains * draws; }
};

// Blocks at least `autocorrelation_time` draws long, at least 4 in all, about 20 where there are draws enough.
TraceLayout MakeLayout(int64_t chains, int64_t draws, double autocorrelation_time);

struct ScoreValue {
  float score = 0;
  float standard_error = 0;
  bool constant = false;  // no variance in one of the traces: the score is 0
};

// Scores of rows against a fixed set of queries.
class Scorer {
 public:
  // `queries`: q traces, row major [q, layout.values()]. Fails with INVALID_ARGUMENT if there are fewer than 2 draws.
  static absl::StatusOr<Scorer> Create(const TraceLayout& layout, Estimator estimator, Centring centring,
                                       absl::Span<const float> queries);

  // `rows`: r traces [r, values]; scores[i * q + j] is row i against query j. Thread-safe: several threads may score
  // different rows with one Scorer.
  void Score(absl::Span<const float> rows, absl::Span<ScoreValue> scores) const;

  // Degrees of freedom of the intervals (blocks - 1), and Student's t quantile for 95 %.
  int64_t blocks() const;
  double t_quantile() const;

 private:
  TraceLayout layout_;
  Estimator estimator_;
  Centring centring_;
  int64_t query_count_ = 0;
};

// Variance of each row's own trace with its jackknife standard error (self-influence).
void SelfVariance(const TraceLayout& layout, Centring centring, absl::Span<const float> rows, absl::Span<ScoreValue> scores);

}  // namespace bif::attribution
