// From a posterior and what is wanted of it to stretches that can be replayed: how long tangents
// burn in, and which stored chain states can be read.
//
// Thread-safe; blocks on storage I/O.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "src/attribution/pathwise.h"
#include "src/jobs/pathwise.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/stretch_plan.h"
#include "src/storage/store.h"

namespace bif::jobs {

// FAILED_PRECONDITION where tangents do not settle (a gamma and weight decay of 0, or a step size
// that is too large for them), or where RMSprop-SGLD has no state that says how large its
// preconditioner is.
absl::StatusOr<attribution::TangentRelaxation> RelaxationOf(storage::Store& store,
                                                            const PosteriorView& view);

struct SlopeNeeds {
  int64_t queries = 1;
  int64_t rows = 1;   // at each draw
  int64_t draws = 1;  // all chains together
  int64_t most_stretches = int64_t{1} << 20;
};
struct SlopePlan {
  StretchPlan plan;
  uint32_t states_missing = 0;  // stored ones that were wanted and could not be read
};
// States that the plan begins from have been read and checked.
absl::StatusOr<SlopePlan> PlanSlopes(storage::Store& store, const PosteriorView& view,
                                     const attribution::TangentRelaxation& relaxation,
                                     const SlopeNeeds& needs);

// What is known of an answer's slopes before any is taken.
PathwiseProvenance PathwiseProvenanceOf(const PosteriorView& view, const SlopePlan& plan,
                                        const attribution::TangentRelaxation& relaxation);

}  // namespace bif::jobs
