// How a top k is refined: which rows get slopes next, at how many draws, from how many stretches.
// Plain numbers; no clock and no device.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/attribution/contenders.h"
#include "src/jobs/pair_scores.h"
#include "src/jobs/stretch_plan.h"

namespace bif::jobs {

// Candidates in doubt, those first that can tell whether a boundary runs where it seems to: of all
// queries but those marked as lost, in turn, each once.
std::vector<uint32_t> RowsInDoubt(absl::Span<const ContendersOfBoth> contenders,
                                  const std::vector<bool>& lost);

// One round.
struct RefinementStep {
  int64_t rows = 0;  // the first so many in doubt; 0: stop
  int64_t draws = 0;
  int64_t stretches = 0;  // of the plan, its first so many
};

class RefinementPlanner {
 public:
  // `queries` ride together; slopes are wanted for a top `k`.
  RefinementPlanner(const StretchPlan& plan, const ReplayCost& cost, int64_t k);

  // With so many passes left. Half of them at most go into burn-ins, and at least one does.
  // rows = 0 if they do not pay for one draw of as many rows as it takes.
  RefinementStep Next(int64_t in_doubt, double passes_left);
  // Where it is not known how many passes a budget buys: one draw of a few rows, to find out.
  RefinementStep Probe(int64_t in_doubt);

  // What the first draw costs at least.
  double OneDraw(int64_t in_doubt) const;

 private:
  const double burn_in_;  // of a stretch
  const double advance_;  // from one draw to the next
  const double row_;
  const int64_t k_;
  const int64_t most_stretches_;
  int64_t open_ = 0;  // stretches that have burnt in
};

}  // namespace bif::jobs
