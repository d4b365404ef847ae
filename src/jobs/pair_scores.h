// The scores of one query's candidates: from traces, and from slopes where there are any. Plain
// values and pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/attribution/contenders.h"
#include "src/attribution/ranking.h"
#include "src/attribution/score.h"
#include "src/jobs/pathwise.h"
#include "src/jobs/slope_table.h"

namespace bif::jobs {

struct PairScore {
  attribution::ScoreValue value;
  double degrees = 1;     // of Student's t
  double t_quantile = 0;  // 95 %, two-sided
  bool has_slopes = false;
};

// All candidates' scores from traces.
struct TraceScores {
  std::vector<attribution::ScoreValue> values;
  double degrees = 1;
  double t_quantile = 0;
};
std::vector<PairScore> PairScoresOf(const TraceScores& traces);

// How two estimates of the same pairs went together (src/attribution/mixing.h).
struct Mixture {
  double pathwise_weight = 0;
  double share_that_disagree = 0;
};

// Puts slopes in the place of traces (kPathwise), or both together (kMixed). Where slopes have no
// standard error and traces have one, traces stay. `traces`: null if there are none, with
// kPathwise.
Mixture AddSlopes(attribution::Estimator estimator, const std::vector<SlopeScores>& slopes,
                  const TraceScores* traces, absl::Span<PairScore> scores);

// The k best at both ends, with their stability.
attribution::RankingResult RankPairs(absl::Span<const PairScore> scores, int64_t k,
                                     int helpful_sign);

// Both ends' contenders.
struct ContendersOfBoth {
  attribution::Contenders helpful;
  attribution::Contenders harmful;
};
ContendersOfBoth FindContendersOfBoth(absl::Span<const PairScore> scores, int64_t k,
                                      int helpful_sign, bool simultaneous);
RefinedCandidates Describe(const ContendersOfBoth& contenders, absl::Span<const PairScore> scores);

}  // namespace bif::jobs
