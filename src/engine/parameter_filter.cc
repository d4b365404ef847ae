#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/engine.h"
#include "src/engine/glob.h"
#include "src/engine/parameter_presets.h"

namespace bif::engine {
namespace {

bool MatchesAny(const std::vector<std::string>& globs, std::string_view name) {
  return std::any_of(globs.begin(), globs.end(),
                     [name](const std::string& glob) { return GlobMatches(glob, name); });
}

bool AnyNameMatches(const std::vector<ParameterInfo>& parameters,
                    const std::vector<std::string>& globs) {
  return std::any_of(parameters.begin(), parameters.end(),
                     [&](const ParameterInfo& p) { return MatchesAny(globs, p.name); });
}

// What include and presets select, as one list of globs.
//
// One of them that matches nothing is a typing error that would silently freeze parameters. A glob
// of `exclude` may match nothing: lists of exclusions are shared between models.
absl::StatusOr<std::vector<std::string>> Included(const std::vector<ParameterInfo>& parameters,
                                                  const ParameterFilter& filter) {
  const auto matches_nothing = [&](std::string_view list, size_t i, const std::string& what) {
    return FieldError(absl::StrCat("parameters.", std::string(list), "[", i, "]"),
                      absl::StrCat("'", what, "' matches none of the program's ", parameters.size(),
                                   " parameters; ListParameters shows their names"));
  };
  std::vector<std::string> included;
  for (size_t i = 0; i < filter.include.size(); ++i) {
    const std::string& glob = filter.include[i];
    if (!AnyNameMatches(parameters, {glob})) return matches_nothing("include", i, glob);
    included.push_back(glob);
  }
  for (size_t i = 0; i < filter.presets.size(); ++i) {
    const std::vector<std::string> globs = PresetGlobs(filter.presets[i]);
    if (globs.empty()) {
      return FieldError(
          absl::StrCat("parameters.presets[", i, "]"),
          absl::StrCat("there is no preset '", filter.presets[i], "'; there are: ", PresetNames()));
    }
    if (!AnyNameMatches(parameters, globs)) return matches_nothing("presets", i, filter.presets[i]);
    included.insert(included.end(), globs.begin(), globs.end());
  }
  return included;
}

}  // namespace

absl::StatusOr<MovingSet> SelectParameters(const std::vector<ParameterInfo>& parameters,
                                           const ParameterFilter& filter) {
  BIF_ASSIGN_OR_RETURN(const std::vector<std::string> globs, Included(parameters, filter));
  MovingSet moving;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParameterInfo& parameter = parameters[i];
    const bool included = globs.empty() || MatchesAny(globs, parameter.name);
    if (!included || MatchesAny(filter.exclude, parameter.name) || parameter.elements == 0)
      continue;
    moving.ranges.push_back({static_cast<int64_t>(i), moving.elements, parameter.elements});
    moving.elements += parameter.elements;
  }
  if (moving.elements == 0) {
    return FieldError("parameters",
                      "leaves no parameter to move; widen include and presets, or shorten exclude");
  }
  return moving;
}

}  // namespace bif::engine
