// The index of weights that lie in several safetensors files, as the Hugging Face hub lays them
// out:
//
//   {"metadata": {"total_size": 16060522496},
//    "weight_map": {"model.embed_tokens.weight": "model-00001-of-00004.safetensors", ...}}
//
// The index is a stranger's: it names files beside itself and nothing else. Pure functions; what is
// wrong is INVALID_ARGUMENT and names the tensor and the file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/safetensors.h"

namespace bif {

struct SafetensorsIndex {
  std::map<std::string, std::string> shard_of;  // by tensor
  std::vector<std::string> shards;              // file names, each once, sorted
};

// Whether a file of this name is an index: "model.safetensors.index.json".
bool IsSafetensorsIndex(std::string_view file_name);

// `json` is an index file's content. Refuses one that names no tensor, and a shard that is not a
// plain file name.
absl::StatusOr<SafetensorsIndex> ParseSafetensorsIndex(std::string_view json);

// Checks that every tensor of the index lies in its shard and in no other, and that no shard holds
// more. `files` are the shards by name; one that the index does not name, or that is missing, is an
// error, too.
absl::Status CheckShards(const SafetensorsIndex& index,
                         const std::map<std::string, SafetensorsFile>& files);

}  // namespace bif
