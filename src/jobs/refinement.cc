#include "src/jobs/refinement.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace bif::jobs {
namespace {

constexpr int64_t kLeastDraws = 8;  // fewer say little of their error
constexpr int64_t kProbeRows = 64;

double LongestBurnIn(const StretchPlan& plan) {
  uint64_t longest = 0;
  for (const Stretch& stretch : plan.stretches) longest = std::max(longest, stretch.burn_in());
  return static_cast<double>(longest);
}

}  // namespace

std::vector<uint32_t> RowsInDoubt(absl::Span<const ContendersOfBoth> contenders,
                                  const std::vector<bool>& lost) {
  std::vector<std::vector<int64_t>> orders;
  size_t longest = 0;
  for (size_t q = 0; q < contenders.size(); ++q) {
    if (lost[q]) continue;
    orders.push_back(attribution::RefinementOrder(contenders[q].helpful, contenders[q].harmful));
    longest = std::max(longest, orders.back().size());
  }
  std::vector<uint32_t> rows;
  absl::flat_hash_set<int64_t> seen;
  for (size_t i = 0; i < longest; ++i) {
    for (const std::vector<int64_t>& order : orders) {
      if (i < order.size() && seen.insert(order[i]).second)
        rows.push_back(static_cast<uint32_t>(order[i]));
    }
  }
  return rows;
}

RefinementPlanner::RefinementPlanner(const StretchPlan& plan, const ReplayCost& cost, int64_t k)
    : burn_in_(LongestBurnIn(plan) * cost.step),
      advance_(static_cast<double>(plan.steps_between_slopes) * cost.step),
      row_(cost.row),
      k_(k),
      most_stretches_(static_cast<int64_t>(plan.stretches.size())) {}

double RefinementPlanner::OneDraw(int64_t in_doubt) const {
  return burn_in_ + advance_ + row_ * static_cast<double>(std::min(in_doubt, k_));
}

RefinementStep RefinementPlanner::Next(int64_t in_doubt, double passes_left) {
  const auto pays_for = static_cast<int64_t>(0.5 * passes_left / burn_in_);
  int64_t stretches = std::min(most_stretches_, std::max({open_, open_ + pays_for, int64_t{1}}));
  while (true) {
    const double new_burn_ins = static_cast<double>(stretches - open_) * burn_in_;
    const attribution::RefinementRound round = attribution::NextRound(
        in_doubt, k_, passes_left, {.advance = advance_, .row = row_, .new_stretch = new_burn_ins},
        std::max(kLeastDraws, 2 * stretches));
    if (round.rows > 0) {
      open_ = stretches;
      return {round.rows, round.draws, stretches};
    }
    if (stretches <= std::max<int64_t>(1, open_)) return {};
    --stretches;
  }
}

RefinementStep RefinementPlanner::Probe(int64_t in_doubt) {
  open_ = 1;
  return {std::min(in_doubt, std::max(kProbeRows, k_)), 1, 1};
}

}  // namespace bif::jobs
