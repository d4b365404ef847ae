// Fields of requests that speak of slopes. Pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "src/attribution/score.h"
#include "src/jobs/pathwise.h"

namespace bif::jobs {

// Field errors: "pathwise.draws", "refine", "refine.estimator", "refine.time",
// "refine.forward_passes".
absl::Status CheckPathwise(attribution::Estimator estimator, const PathwiseOptions& options,
                           const std::optional<RefineSpec>& refine);

// Of methods that have no slopes: a field error ("estimator") for PATHWISE and MIXED. `what` has
// none: "single tokens".
absl::Status RefusePathwise(attribution::Estimator estimator, std::string_view what);

}  // namespace bif::jobs
