// Local files that hold samples: safetensors columns and JSON lines.
//
// Thread-compatible. Files come from users: whatever is wrong with one is INVALID_ARGUMENT with the
// line, tensor or byte.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bif/v1/types.pb.h"
#include "client/client.h"

namespace bif::client {

struct SampleFileOptions {
  // The dataset's columns: JSON has no dtypes of its own, and a safetensors file may hold more
  // tensors than wanted.
  std::vector<v1::TensorSpec> columns;
  // Ids of rows that bring none: id_prefix + (first_id + row).
  std::string id_prefix;
  int64_t first_id = 0;
};

// Opens `path` by its name: *.safetensors, whose tensors are [rows, ...] and named like the
// columns (or, with lengths, as safetensors_samples.h says); else JSON lines, an object a line with
// "id" (optional) and one entry a column, numbers in nested lists as the shape says. Where the
// column takes any length, a row's list may have any length but 0.
absl::StatusOr<std::unique_ptr<SampleSource>> OpenSampleFile(const std::string& path,
                                                             SampleFileOptions options);

// One line of such a JSON file. Exposed for tests.
absl::StatusOr<v1::Sample> ParseJsonSample(const std::string& line,
                                           const std::vector<v1::TensorSpec>& columns);

// Bytes of one element.
size_t ElementBytes(v1::DType dtype);

}  // namespace bif::client
