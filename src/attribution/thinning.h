// How many steps to leave between two traced draws: Owen, "Statistically efficient thinning of a
// Markov chain sampler" (arXiv 1510.07727). Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace bif::attribution {

// Statistical efficiency of tracing every k-th step relative to every step, at equal cost, for a
// quantity whose autocorrelation at lag t is rho^t, 0 <= rho < 1, where a trace costs `cost_ratio`
// steps (section 4 there):
//   (1 + theta)/(k + theta) * (1 + rho)/(1 - rho) * (1 - rho^k)/(1 + rho^k).
double ThinningEfficiency(int64_t k, double rho, double cost_ratio);

struct ThinningChoice {
  int64_t steps_between_draws = 1;
  double autocorrelation = 0;      // of the product of two traces, per step
  double relative_efficiency = 1;  // of the choice against every step
  std::string ToString() const;    // a sentence for the operation's log
};

// From a pilot that traced every step: `traces` [rows, chains * steps] of the sampling loss and
// some random training samples. Scores are means of products of two centred traces, whose
// autocorrelation is the product of the traces', so rho is the square of the traces' median one.
// `cost_ratio`: seconds to trace a draw over seconds of a step. Picks the smallest k within 1 % of
// the best efficiency, at most `largest`.
ThinningChoice ChooseThinning(int64_t chains, int64_t steps, absl::Span<const float> traces,
                              double cost_ratio, int64_t largest);

}  // namespace bif::attribution
