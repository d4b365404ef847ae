#include "src/jobs/allowed_paths.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

absl::Status NotAllowed(std::string_view field, const std::string& path) {
  return WithReason(absl::PermissionDeniedError(absl::StrCat(
                        std::string(field), ": ", path,
                        " lies below none of the directories that the daemon may read from "
                        "(bifd's option --allow-root)")),
                    "PATH_NOT_ALLOWED");
}

}  // namespace

AllowedPaths::AllowedPaths(const std::vector<std::string>& roots) {
  for (const std::string& root : roots) {
    absl::StatusOr<std::string> canonical = RealPath(root);
    if (!canonical.ok()) continue;
    if (!absl::EndsWith(*canonical, "/")) *canonical += '/';
    roots_.push_back(*std::move(canonical));
  }
}

absl::StatusOr<std::string> AllowedPaths::Resolve(const std::string& path,
                                                  std::string_view field) const {
  if (path.empty()) return FieldError(field, "must not be empty");
  if (path[0] != '/' || absl::StrContains(path, '\0'))
    return FieldError(field, "must be an absolute path");
  const auto below_a_root = [this](const std::string& canonical) {
    for (const std::string& root : roots_) {
      if (absl::StartsWith(absl::StrCat(canonical, "/"), root)) return true;
    }
    return false;
  };
  absl::StatusOr<std::string> canonical = RealPath(path);
  if (canonical.ok()) {
    if (!below_a_root(*canonical)) return NotAllowed(field, path);
    return canonical;
  }
  // Whether a file exists is told only of directories that may be read.
  absl::StatusOr<std::string> parent = RealPath(path.substr(0, path.rfind('/') + 1));
  if (!parent.ok() || !below_a_root(*parent)) return NotAllowed(field, path);
  return Annotate(canonical.status(), field);
}

}  // namespace bif::jobs
