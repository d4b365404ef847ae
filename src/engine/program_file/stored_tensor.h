// A tensor as it lies in an archive: raw bytes and how to look at them. Several may share bytes
// (tied weights).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/program_file/graph.h"
#include "src/engine/program_file/json_fields.h"
#include "src/engine/program_file/zip_archive.h"

namespace bif::engine {

struct StoredTensor {
  GraphDType dtype = GraphDType::kUnknown;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;  // in elements, none negative
  int64_t storage_offset = 0;    // in elements
  int64_t elements = 0;
  std::string_view bytes;  // of the whole storage; every element lies inside

  // Whether both are the same view of the same bytes.
  bool SameAs(const StoredTensor& other) const;
};

size_t SizeOf(GraphDType dtype);  // 0 for those that are not supported

// By name. `config` is the text of model_weights_config.json or model_constants_config.json,
// `folder` ends with '/' and holds the raw files. Refuses pickled entries by name.
using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;
absl::StatusOr<StoredTensors> ParseStoredTensors(std::string_view config, const std::string& folder,
                                                 const ZipArchive& archive);

}  // namespace bif::engine
