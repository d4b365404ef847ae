// What is asked of slopes, and what an answer made of them rests on: the estimators PATHWISE and
// MIXED, and `refine` (docs/estimators.md). Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "src/attribution/score.h"
#include "src/engine/engine.h"

namespace bif::jobs {

inline constexpr uint32_t kDefaultSlopeDraws = 80;
inline constexpr uint32_t kMostSlopeDraws = 100'000;
inline constexpr absl::Duration kMostRefineTime = absl::Hours(24);
inline constexpr uint64_t kMostRefinePasses = 1'000'000'000'000'000;

struct PathwiseOptions {
  uint32_t draws = 0;  // at which slopes are taken, all chains together; 0: kDefaultSlopeDraws
  int64_t wanted() const { return draws != 0 ? draws : kDefaultSlopeDraws; }
  friend bool operator==(const PathwiseOptions&, const PathwiseOptions&) = default;
};

// The second stage of a top k: slopes for the candidates that could still be among the best.
struct RefineSpec {
  attribution::Estimator estimator = attribution::Estimator::kMixed;  // kPathwise or kMixed
  // One of the two. Of one sample, as docs/estimators.md counts them.
  std::optional<absl::Duration> time;
  uint64_t forward_passes = 0;
  bool simultaneous = false;  // intervals that hold for all candidates at once
};

// A stretch of a chain that is in no estimate.
struct StretchLeftOut {
  uint32_t chain = 0;
  uint64_t from_step = 0;         // where its replay began
  std::optional<uint32_t> query;  // position in the request; absent: all lack it
  std::string reason;
};

// Numbers of stretches and draws are of the query that has most.
struct PathwiseProvenance {
  uint32_t stretches = 0;
  uint32_t draws = 0;  // all stretches together
  uint64_t steps_between_slopes = 0;
  uint64_t tangent_burn_in_steps = 0;
  double bias_bound = 0;
  engine::TangentPlan derivatives;
  bool preconditioner_held_fixed = false;
  std::vector<StretchLeftOut> left_out;
  uint32_t states_missing = 0;  // stored, but could not be read
  uint32_t stretches_from_the_checkpoint = 0;
  uint64_t forward_passes = 0;  // spent on this answer; 0: all was known
  uint32_t jackknife_blocks = 0;
  // With MIXED, of each query.
  std::vector<double> pathwise_weight;
  std::vector<double> share_that_disagree;
};

// How far the top k of one query is decided (src/attribution/contenders.h).
struct RefinedCandidates {
  uint64_t refined = 0;          // candidates with slopes
  uint32_t helpful_decided = 0;  // of the k
  uint32_t harmful_decided = 0;
  uint64_t helpful_undecided = 0;  // of all candidates
  uint64_t harmful_undecided = 0;
};

}  // namespace bif::jobs
