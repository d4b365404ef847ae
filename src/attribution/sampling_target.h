// When sampling has gone far enough: what the scores of pilot queries look like after so many
// draws, and how many draws a target needs.
//
// Three figures, each now and foretold:
//   standard error  of the scores, median or largest: falls as 1 / sqrt(N) with N draws.
//   stability       of each query's top k: the expected share that stays (stability.h).
//   distinguishable share of the pairs with |score| > t * standard error. Of pairs without any
//                   influence 5 % count by chance.
// Stability is foretold by what the scores would be after r N draws. With the mean M of a query's
// squared scores and the mean E of their squared standard errors, M - E is the spread of the truth
// (moments; never below 0), so that
//   standard errors  become  se_i / sqrt(r),
//   scores           become  s_i * sqrt((M - E + E/r) / M)       (the shape stays, the noise
//   shrinks).
// Distinguishable pairs are foretold by how far true scores lie from zero in units of their
// standard errors now, as a mixture over k of N(0, a_k^2) on a fixed grid, a_0 = 0, fitted to z_i =
// s_i / se_i by expectation maximisation (Stephens 2017, "False discovery rates: a new deal"):
// after r N draws z is Student's t scaled by sqrt(1 + r a_k^2). Pairs without influence so stay as
// they are. Both figures rise with r, and the least r is found by bisection.
//
// Plain numbers; pure functions. Thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/layout.h"
#include "src/attribution/score.h"

namespace bif::attribution {

// The numbers are those of bif.v1.
enum class TargetKind : uint8_t {
  kMedianStandardError = 1,  // at most `value`, in the estimator's units
  kWorstStandardError = 2,   // the largest of all pairs
  kStability = 3,            // mean over queries and both ends, at least `value`, 0..1
  kDistinguishable = 4,      // share of pairs, at least `value`, 0..1
};
std::string_view TargetKindName(TargetKind kind);  // "WORST_STANDARD_ERROR"

struct SamplingTarget {
  TargetKind kind = TargetKind::kStability;
  double value = 0;
  int64_t k = 10;  // of the top k
};

// More draws than anybody makes: the target is out of reach, for example because there is no
// signal.
inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct Forecast {
  double now = 0;
  double target = 0;
  bool met = false;
  int64_t draws_needed = 0;  // a chain, in all, at most kNever; those that there are if met
};

struct PilotReport {
  int64_t pairs = 0;  // that are not constant
  double median_standard_error = 0;
  double worst_standard_error = 0;
  double stability = 1;
  double distinguishable = 0;
  Forecast forecast;             // of the target that was given
  std::string ToString() const;  // a sentence for the operation's log
};

// `rows`: [rows, layout.values()] traces of training samples, `queries` the same of the pilot
// queries. A random subset of the training samples will do for standard errors and distinguishable
// pairs; the stability is that of the top k of the rows that are given, so give all of them or a k
// that is smaller in proportion. A pair of a row with itself counts like any other.
// Fails with INVALID_ARGUMENT, naming the field, for a target that cannot be (value, k), and where
// Scorer::Create does; FAILED_PRECONDITION with fewer than 4 draws in all or no pair that varies.
absl::StatusOr<PilotReport> MeasurePilot(const TraceLayout& layout, Estimator estimator,
                                         Centring centring, absl::Span<const float> rows,
                                         absl::Span<const float> queries,
                                         const SamplingTarget& target);

// The same from scores that were computed block by block: `scores[i * queries + j]` is row i
// against query j of a scorer with so many jackknife blocks and this quantile. A pair that is not
// to count (a sample with itself) is marked as constant, with a score of 0.
absl::StatusOr<PilotReport> MeasurePilotScores(const TraceLayout& layout, int64_t blocks,
                                               double t_quantile,
                                               absl::Span<const ScoreValue> scores, int64_t queries,
                                               const SamplingTarget& target);

}  // namespace bif::attribution
