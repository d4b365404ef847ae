#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/engine.h"
#include "src/engine/glob.h"

namespace bif::engine {
namespace {

bool MatchesAny(const std::vector<std::string>& globs, std::string_view name) {
  return std::any_of(globs.begin(), globs.end(),
                     [name](const std::string& glob) { return GlobMatches(glob, name); });
}

// A glob of `include` that matches nothing is a typing error that would silently freeze parameters.
// One of `exclude` may match nothing: lists of exclusions are shared between models.
absl::Status CheckIncludes(const std::vector<ParameterInfo>& parameters,
                           const ParameterFilter& filter) {
  for (size_t i = 0; i < filter.include.size(); ++i) {
    const std::string& glob = filter.include[i];
    const bool found =
        std::any_of(parameters.begin(), parameters.end(),
                    [&](const ParameterInfo& p) { return GlobMatches(glob, p.name); });
    if (!found) {
      return FieldError(
          absl::StrCat("parameters.include[", i, "]"),
          absl::StrCat("'", glob, "' matches none of the program's ", parameters.size(),
                       " parameters; ListParameters shows their names"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MovingSet> SelectParameters(const std::vector<ParameterInfo>& parameters,
                                           const ParameterFilter& filter) {
  BIF_RETURN_IF_ERROR(CheckIncludes(parameters, filter));
  MovingSet moving;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParameterInfo& parameter = parameters[i];
    const bool included = filter.include.empty() || MatchesAny(filter.include, parameter.name);
    if (!included || MatchesAny(filter.exclude, parameter.name) || parameter.elements == 0)
      continue;
    moving.ranges.push_back({static_cast<int64_t>(i), moving.elements, parameter.elements});
    moving.elements += parameter.elements;
  }
  if (moving.elements == 0) {
    return FieldError("parameters",
                      "leaves no parameter to move; widen include or shorten exclude");
  }
  return moving;
}

}  // namespace bif::engine
