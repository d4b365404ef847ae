// Writing to a descriptor until all is written: a write may take less than it was given.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace bif {

// `path` is for the error. After one, a part of the bytes may have been written.
absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path);

}  // namespace bif
