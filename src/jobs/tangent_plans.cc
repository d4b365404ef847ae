#include "src/jobs/tangent_plans.h"

#include "absl/strings/str_cat.h"

namespace bif::jobs {

absl::StatusOr<engine::TangentPlan> TangentPlans::Get(const PosteriorView& view,
                                                      engine::Model& model,
                                                      const engine::ResidentRows& train) {
  std::string key = absl::StrCat(view.record.checkpoint(), "/", view.plan.ToString());
  for (const engine::MovingRange& range : view.moving.ranges)
    absl::StrAppend(&key, "/", range.parameter, "+", range.elements);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const absl::StatusOr<engine::TangentPlan> plan =
      model.CheckTangents(view.moving, view.plan, train);
  if (plan.ok() || absl::IsUnimplemented(plan.status())) known_.emplace(key, plan);
  return plan;
}

}  // namespace bif::jobs
