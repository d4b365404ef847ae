#include "src/jobs/slope_planning.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/resource_names.h"

namespace bif::jobs {
namespace {

// Of the elements' preconditioners: the slowest few directions are not what decides.
constexpr double kLowQuantile = 0.05;

bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

bool Counts(const PosteriorView& view, uint32_t chain) {
  return std::find(view.active_chains.begin(), view.active_chains.end(), chain) !=
         view.active_chains.end();
}

// A low quantile of G = 1 / (sqrt(v) + delta) at the newest state that can be read.
absl::StatusOr<double> LowPreconditioner(storage::Store& store, const PosteriorView& view) {
  for (const auto& chain : view.record.chains()) {
    if (!Counts(view, chain.index())) continue;
    for (auto state = chain.states().rbegin(); state != chain.states().rend(); ++state) {
      absl::StatusOr<storage::DrawStore::State> read =
          store.draws().ReadState(view.record.number(), *state);
      if (IsDamage(read.status())) continue;
      BIF_RETURN_IF_ERROR(read.status());
      std::vector<float>& moments = read->second_moments;
      if (moments.empty()) continue;
      const auto at =
          static_cast<int64_t>((1 - kLowQuantile) * static_cast<double>(moments.size() - 1));
      std::nth_element(moments.begin(), moments.begin() + at, moments.end());
      return 1 / (std::sqrt(static_cast<double>(moments[at])) + view.settings.rms_delta);
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "no chain state of ", PosteriorName(view.record.key()),
      " can be read, so how fast tangents settle under RMSPROP_SGLD is not known; sample more "
      "draws (ExtendPosterior), which stores new states"));
}

StretchNeeds NeedsOf(const PosteriorView& view, const attribution::TangentRelaxation& relaxation,
                     const SlopeNeeds& needs, const std::set<std::string>& unreadable) {
  StretchNeeds all;
  for (const auto& chain : view.record.chains()) {
    if (!Counts(view, chain.index())) continue;
    ChainStates states{chain.index(), {}};
    for (const auto& state : chain.states()) {
      if (!unreadable.contains(state.name())) states.steps.push_back(state.step());
    }
    std::sort(states.steps.begin(), states.steps.end());
    all.chains.push_back(std::move(states));
  }
  all.chain_burn_in = view.settings.burn_in_steps;
  all.steps_between_draws = std::max<uint64_t>(1, view.record.steps_between_draws());
  all.draws_per_chain = view.draws;
  all.tangent_burn_in = relaxation.burn_in_steps;
  all.relaxation_steps = relaxation.time;
  all.draws = needs.draws;
  all.rows = needs.rows;
  all.most_stretches = needs.most_stretches;
  all.cost = CostOfReplay(view.settings.batch_size, needs.queries);
  return all;
}

// The first state that the plan begins from and cannot be read, by its file's name.
absl::StatusOr<std::string> Unreadable(storage::Store& store, const PosteriorView& view,
                                       const StretchPlan& plan) {
  for (const Stretch& stretch : plan.stretches) {
    for (const auto& chain : view.record.chains()) {
      if (chain.index() != stretch.chain) continue;
      for (const auto& state : chain.states()) {
        if (state.step() != stretch.from_step) continue;
        const absl::Status status = store.draws().VerifyFile(view.record.number(), state);
        if (IsDamage(status)) return state.name();
        BIF_RETURN_IF_ERROR(status);
      }
    }
  }
  return std::string();
}

}  // namespace

absl::StatusOr<attribution::TangentRelaxation> RelaxationOf(storage::Store& store,
                                                            const PosteriorView& view) {
  double preconditioner = 1;
  if (view.settings.algorithm == engine::Algorithm::kRmspropSgld) {
    BIF_ASSIGN_OR_RETURN(preconditioner, LowPreconditioner(store, view));
  }
  const auto relaxation = attribution::RelaxationOf(view.settings.step_size, view.settings.gamma,
                                                    view.settings.weight_decay, preconditioner);
  if (relaxation.ok()) return relaxation;
  // It is no field of this request that is at fault, but the posterior.
  return absl::FailedPreconditionError(
      absl::StrCat(PosteriorName(view.record.key()),
                   " has no pathwise estimate: ", relaxation.status().message()));
}

absl::StatusOr<SlopePlan> PlanSlopes(storage::Store& store, const PosteriorView& view,
                                     const attribution::TangentRelaxation& relaxation,
                                     const SlopeNeeds& needs) {
  std::set<std::string> unreadable;
  while (true) {
    SlopePlan plan;
    plan.plan = PlanStretches(NeedsOf(view, relaxation, needs, unreadable));
    plan.states_missing = static_cast<uint32_t>(unreadable.size());
    BIF_ASSIGN_OR_RETURN(const std::string bad, Unreadable(store, view, plan.plan));
    if (bad.empty()) return plan;
    unreadable.insert(bad);
  }
}

PathwiseProvenance PathwiseProvenanceOf(const PosteriorView& view, const SlopePlan& plan,
                                        const attribution::TangentRelaxation& relaxation) {
  PathwiseProvenance provenance;
  provenance.steps_between_slopes = plan.plan.steps_between_slopes;
  provenance.tangent_burn_in_steps = plan.plan.burn_in();
  provenance.bias_bound = std::exp(-static_cast<double>(plan.plan.burn_in()) / relaxation.time);
  provenance.preconditioner_held_fixed = view.settings.algorithm == engine::Algorithm::kRmspropSgld;
  provenance.states_missing = plan.states_missing;
  for (const Stretch& stretch : plan.plan.stretches)
    provenance.stretches_from_the_checkpoint += stretch.from_step == 0 ? 1 : 0;
  return provenance;
}

}  // namespace bif::jobs
