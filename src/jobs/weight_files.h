// The safetensors files that hold one set of weights: a single one, or the shards of an index
// (src/base/safetensors_index.h). Thread-compatible.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/jobs/allowed_paths.h"
#include "src/jobs/upload.h"

namespace bif::jobs {

// A file of the server that may be read.
struct FoundFile {
  std::string name;  // as the index calls it
  std::string path;  // canonical: links, which the hub's caches are made of, resolved
};

// What weights at `path` consist of: that file; the index and its shards, if it is one or a folder
// that holds model.safetensors.index.json; or the folder's model.safetensors. `field` is for
// errors.
absl::StatusOr<std::vector<FoundFile>> FindWeightFiles(const AllowedPaths& paths,
                                                       const std::string& path,
                                                       std::string_view field);

// Checks that the files fit together: a single safetensors file, or an index and exactly its
// shards, each holding what the index says. Takes the index out of them and puts the shards in the
// order of their names.
absl::Status CheckWeightFiles(std::vector<NamedUpload>& files, std::string_view field);

}  // namespace bif::jobs
