#include "src/jobs/pathwise_checks.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

absl::Status CheckRefine(attribution::Estimator estimator, const RefineSpec& refine) {
  if (estimator != attribution::Estimator::kBif) {
    return FieldError("refine", absl::StrCat("begins from scores of the estimator BIF; with ",
                                             std::string(attribution::EstimatorName(estimator)),
                                             " leave it out, or ask with estimator BIF"));
  }
  if (!attribution::NeedsSlopes(refine.estimator))
    return FieldError("refine.estimator", "must be PATHWISE or MIXED: only these take slopes");
  if (refine.time.has_value() && *refine.time <= absl::ZeroDuration())
    return FieldError("refine.time", "must be above 0 seconds");
  if (refine.time.has_value() && *refine.time > kMostRefineTime) {
    return FieldError("refine.time",
                      absl::StrCat("is ", absl::FormatDuration(*refine.time), ", at most ",
                                   absl::FormatDuration(kMostRefineTime), " are allowed"));
  }
  if (refine.forward_passes > kMostRefinePasses) {
    return FieldError("refine.forward_passes",
                      absl::StrCat("is ", refine.forward_passes, ", at most ", kMostRefinePasses,
                                   " are allowed"));
  }
  if (!refine.time.has_value() && refine.forward_passes == 0) {
    return FieldError("refine", "needs a budget: give time (seconds) or forward_passes, above 0");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPathwise(attribution::Estimator estimator, const PathwiseOptions& options,
                           const std::optional<RefineSpec>& refine) {
  if (refine.has_value()) BIF_RETURN_IF_ERROR(CheckRefine(estimator, *refine));
  if (options.draws == 0) return absl::OkStatus();
  if (refine.has_value())
    return FieldError("pathwise.draws", "is not for refine, whose budget says how many there are");
  if (!attribution::NeedsSlopes(estimator))
    return FieldError("pathwise.draws", "is for the estimators PATHWISE and MIXED");
  if (options.draws > kMostSlopeDraws) {
    return FieldError("pathwise.draws", absl::StrCat("is ", options.draws, ", at most ",
                                                     kMostSlopeDraws, " are allowed"));
  }
  return absl::OkStatus();
}

absl::Status RefusePathwise(attribution::Estimator estimator, std::string_view what) {
  if (!attribution::NeedsSlopes(estimator)) return absl::OkStatus();
  return FieldError("estimator",
                    absl::StrCat(std::string(attribution::EstimatorName(estimator)), " is not for ",
                                 std::string(what), ", which have no slopes; use BIF"));
}

}  // namespace bif::jobs
