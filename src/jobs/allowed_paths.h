// Which of the server's files a user may name. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace bif::jobs {

class AllowedPaths {
 public:
  // `roots`: directories. One that does not exist allows nothing.
  explicit AllowedPaths(const std::vector<std::string>& roots);

  // The canonical path, links resolved, if it is a root or lies below one. A path that does not is
  // PERMISSION_DENIED whether it exists or not; a missing file below a root is NOT_FOUND. `field`
  // is the request's field, for the error.
  absl::StatusOr<std::string> Resolve(const std::string& path, std::string_view field) const;

 private:
  std::vector<std::string> roots_;  // canonical, each ending in '/'
};

}  // namespace bif::jobs
