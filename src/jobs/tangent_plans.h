// How the tangents of a program are computed, as it was found by trying it (Model::CheckTangents):
// once for each checkpoint, set of moving parameters and execution plan. In memory only. Confined
// to the device thread.
#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/jobs/posteriors.h"

namespace bif::jobs {

class TangentPlans {
 public:
  // UNIMPLEMENTED with the operator and what to do, where a program has no second derivatives; that
  // is remembered too, other errors are not.
  absl::StatusOr<engine::TangentPlan> Get(const PosteriorView& view, engine::Model& model,
                                          const engine::ResidentRows& train);

 private:
  absl::flat_hash_map<std::string, absl::StatusOr<engine::TangentPlan>> known_;
};

}  // namespace bif::jobs
