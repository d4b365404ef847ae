// How stable a top-k list is: the expected share of the k that stays when the draws are resampled.
//
// A parametric bootstrap, done in closed form instead of by drawing: candidate i's score becomes
// s_i + se_i * z with independent standard normal z, where se_i is its jackknife standard error
// over blocks. A candidate is in the resampled list if it passes the level t at which k candidates
// are expected to pass,
//   sum_i P(s_i + se_i z > t) = k,     share = 1/k * sum over the listed k of P(s_i + se_i z > t).
// Real errors of one query's scores are positively correlated (they share the query's trace), which
// moves the list together; treating them as independent therefore errs on the low side.
// Deterministic, no random numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "src/attribution/ranking.h"

namespace bif::attribution {

// `best`: the best candidates of one end, best first, at least k of them where there are as many.
// `sample`: an even sample of all `candidates`; those that are not in `best` stand for the rest.
// Returns 1 if k >= candidates.
double ExpectedShareThatStays(const std::vector<RankedCandidate>& best,
                              const std::vector<RankedCandidate>& sample, int64_t k,
                              int64_t candidates);

}  // namespace bif::attribution
