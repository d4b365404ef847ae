// Which stretches of a posterior's chains are replayed with a tangent, and at which steps slopes
// are taken (docs/estimators.md).
//
// A stretch begins at a stored chain state, or, where none can be read, at w* (step 0). It lets its
// tangent burn in, and gives slopes at draws from then on. Chains get equally many, as far as they
// can; where a chain has several states that are as good, chains begin at different times. A
// stretch that is longer than four burn-ins is cut into several, which are nearly independent, if
// there are states for them. A stretch may go on past the chain's last stored draw, where the chain
// is too short for it: its law is the same there.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace bif::jobs {

// In forward passes of one sample, as docs/estimators.md counts them.
struct ReplayCost {
  double step = 0;  // of the chain, with all tangents
  double row = 0;   // a slope of one row at a draw, all queries together
};
ReplayCost CostOfReplay(int64_t batch_size, int64_t queries);

// The states of one chain that can be read. w* is not among them.
struct ChainStates {
  uint32_t chain = 0;
  std::vector<uint64_t> steps;  // ascending
};

struct StretchNeeds {
  std::vector<ChainStates> chains;
  uint64_t chain_burn_in = 0;  // steps
  uint64_t steps_between_draws = 1;
  uint64_t draws_per_chain = 0;      // stored
  int64_t tangent_burn_in = 1;       // steps, at least
  double relaxation_steps = 1;       // of a tangent
  int64_t draws = 1;                 // slopes wanted, all chains together
  int64_t rows = 1;                  // scored at each
  int64_t most_stretches = 1 << 20;  // for budgets that pay for few burn-ins
  ReplayCost cost;
};

struct Stretch {
  uint32_t chain = 0;
  uint64_t from_step = 0;    // 0: w*
  uint64_t first_slope = 0;  // the step after which the first slope is taken
  int64_t draws = 0;

  uint64_t burn_in() const { return first_slope - from_step; }
};

struct StretchPlan {
  std::vector<Stretch> stretches;
  uint64_t steps_between_slopes = 1;  // a multiple of steps_between_draws
  // The fewest steps that a tangent burns in.
  uint64_t burn_in() const;
};

// `needs.chains` must not be empty, `draws` at least 1.
StretchPlan PlanStretches(const StretchNeeds& needs);

}  // namespace bif::jobs
