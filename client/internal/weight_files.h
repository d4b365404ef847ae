// Which local files a set of weights consists of. Only for client/*.cc.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/internal/upload.h"

namespace bif::client {

// `path` may be a safetensors file; an index of several (*.index.json with {"weight_map": {tensor:
// file}}), whose files lie beside it; or a folder that holds model.safetensors.index.json or
// model.safetensors. NOT_FOUND names a file that is missing. The server checks what the files hold.
absl::StatusOr<std::vector<LocalFile>> LocalWeightFiles(const std::string& path);

}  // namespace bif::client
