#include "src/jobs/stretch_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "src/attribution/thinning.h"

namespace bif::jobs {
namespace {

// A stretch is cut once it has so many burn-ins' steps of slopes.
constexpr int64_t kBurnInsAStretch = 4;
constexpr double kLongestSpacing = 4;  // relaxation times: slopes are all but independent then

// Slopes at every k-th draw; as Owen thins a chain whose states are worth `rows` slopes each.
uint64_t SpacingFor(const StretchNeeds& needs) {
  const auto thin = static_cast<double>(needs.steps_between_draws);
  const double rho = std::exp(-thin / std::max(needs.relaxation_steps, 1e-3));
  const double ratio = needs.cost.row * static_cast<double>(needs.rows) / (needs.cost.step * thin);
  const auto most = static_cast<int64_t>(kLongestSpacing * needs.relaxation_steps / thin);
  int64_t best = 1;
  double best_efficiency = attribution::ThinningEfficiency(1, rho, ratio);
  for (int64_t k = 2; k <= most; ++k) {
    const double efficiency = attribution::ThinningEfficiency(k, rho, ratio);
    if (efficiency <= best_efficiency) continue;
    best = k;
    best_efficiency = efficiency;
  }
  return static_cast<uint64_t>(best) * needs.steps_between_draws;
}

class ChainPlanner {
 public:
  ChainPlanner(const StretchNeeds& needs, uint64_t spacing)
      : needs_(needs),
        spacing_(spacing),
        last_step_(needs.chain_burn_in + needs.draws_per_chain * needs.steps_between_draws) {}

  // `offset` in [0, 1): where, among equally good states, this chain begins.
  void Plan(const ChainStates& states, int64_t draws, int64_t most_stretches, double offset,
            std::vector<Stretch>& plan) const {
    const auto span = static_cast<double>(draws) * static_cast<double>(spacing_);
    const auto whole =
        static_cast<int64_t>(span / static_cast<double>(kBurnInsAStretch * needs_.tangent_burn_in));
    int64_t wanted = std::max<int64_t>(1, std::min({whole, most_stretches, draws}));
    for (; wanted > 1; --wanted) {
      const std::vector<Stretch> found = Place(states, draws, wanted, offset);
      if (static_cast<int64_t>(found.size()) == wanted) {
        plan.insert(plan.end(), found.begin(), found.end());
        return;
      }
    }
    const std::vector<Stretch> found = Place(states, draws, 1, offset);
    plan.insert(plan.end(), found.begin(), found.end());
  }

 private:
  Stretch From(uint32_t chain, uint64_t state, int64_t draws) const {
    const uint64_t thin = needs_.steps_between_draws;
    const uint64_t earliest = std::max(state + static_cast<uint64_t>(needs_.tangent_burn_in),
                                       needs_.chain_burn_in + thin);
    const uint64_t past = earliest - needs_.chain_burn_in;
    return {chain, state, needs_.chain_burn_in + (past + thin - 1) / thin * thin, draws};
  }
  uint64_t LastSlope(const Stretch& stretch) const {
    return stretch.first_slope + static_cast<uint64_t>(stretch.draws - 1) * spacing_;
  }
  uint64_t Overshoot(const Stretch& stretch) const {
    return std::max(LastSlope(stretch), last_step_) - last_step_;
  }

  // `count` stretches that do not overlap, or fewer; always one.
  std::vector<Stretch> Place(const ChainStates& states, int64_t draws, int64_t count,
                             double offset) const {
    const int64_t share = (draws + count - 1) / count;
    std::vector<Stretch> all;
    for (const uint64_t step : states.steps) all.push_back(From(states.chain, step, share));
    if (all.empty()) all.push_back(From(states.chain, 0, share));
    // Within the stored chain if it can be, and with few steps before the first slope.
    uint64_t least_overshoot = std::numeric_limits<uint64_t>::max();
    uint64_t least_burn_in = least_overshoot;
    for (const Stretch& stretch : all) {
      const uint64_t overshoot = Overshoot(stretch);
      if (std::tuple(overshoot, stretch.burn_in()) < std::tuple(least_overshoot, least_burn_in))
        std::tie(least_overshoot, least_burn_in) = std::tuple(overshoot, stretch.burn_in());
    }
    std::vector<Stretch> good;
    for (const Stretch& stretch : all) {
      if (Overshoot(stretch) == least_overshoot &&
          stretch.burn_in() <= least_burn_in + needs_.steps_between_draws) {
        good.push_back(stretch);
      }
    }
    std::vector<Stretch> placed;
    const auto size = static_cast<double>(good.size());
    size_t next = 0;
    for (int64_t j = 0; j < count; ++j) {
      const double at = (static_cast<double>(j) + offset) / static_cast<double>(count) * size;
      size_t i = std::max(next, std::min(static_cast<size_t>(at), good.size() - 1));
      while (i < good.size() && !placed.empty() && good[i].first_slope <= LastSlope(placed.back()))
        ++i;
      if (i >= good.size()) break;
      placed.push_back(good[i]);
      placed.back().draws = draws / count + (j < draws % count ? 1 : 0);
      next = i + 1;
    }
    return placed;
  }

  const StretchNeeds& needs_;
  const uint64_t spacing_;
  const uint64_t last_step_;
};

}  // namespace

ReplayCost CostOfReplay(int64_t batch_size, int64_t queries) {
  const auto m = static_cast<double>(batch_size);
  const auto q = static_cast<double>(queries);
  return {.step = 3 * m + q * (6 * m + 3), .row = 3 * q};
}

uint64_t StretchPlan::burn_in() const {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (const Stretch& stretch : stretches) least = std::min(least, stretch.burn_in());
  return stretches.empty() ? 0 : least;
}

StretchPlan PlanStretches(const StretchNeeds& needs) {
  StretchPlan plan;
  plan.steps_between_slopes = SpacingFor(needs);
  const auto chains = static_cast<int64_t>(needs.chains.size());
  const int64_t used = std::max<int64_t>(1, std::min({chains, needs.draws, needs.most_stretches}));
  const ChainPlanner planner(needs, plan.steps_between_slopes);
  for (int64_t i = 0; i < used; ++i) {
    const int64_t draws = needs.draws / used + (i < needs.draws % used ? 1 : 0);
    const int64_t most = needs.most_stretches / used + (i < needs.most_stretches % used ? 1 : 0);
    planner.Plan(needs.chains[i * chains / used], std::max<int64_t>(1, draws), most,
                 (static_cast<double>(i) + 0.5) / static_cast<double>(used), plan.stretches);
  }
  return plan;
}

}  // namespace bif::jobs
