// Errors about a field of an inner struct, told as those of the request that holds it. Pure
// function.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "src/base/status.h"

namespace bif::jobs {

// A field error whose path begins with `from` ("parameters.include[0]"), with `to` in its place
// ("filter.include[0]"). Other statuses come back as they are.
inline absl::Status RenameField(const absl::Status& status, const std::string& from,
                                const std::string& to) {
  const std::optional<std::string> path = FieldPath(status);
  if (!path || path->rfind(from, 0) != 0) return status;
  std::string message(status.message());
  if (message.rfind(*path + ": ", 0) == 0) message = message.substr(path->size() + 2);
  return FieldError(to + path->substr(from.size()), message);
}

}  // namespace bif::jobs
