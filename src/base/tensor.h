// Named tensors of samples in host memory: what a dataset stores and what an engine evaluates.
//
// Bytes are little endian and row major. All types are plain values: thread-compatible, copied and moved freely.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif {

// The numbers are stored on disk and sent in the API (bif.v1.DType): never reuse one.
enum class DType : uint8_t { kUnspecified = 0, kUint8 = 1, kInt32 = 2, kInt64 = 3, kFloat32 = 4, kBool = 5 };

size_t SizeOf(DType dtype);             // bytes of one element; 0 for kUnspecified
std::string_view DTypeName(DType dtype);  // "uint8"

// One column: the shape of one sample's tensor, without the batch dimension. A scalar has an empty shape.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kUnspecified;
  std::vector<int64_t> shape;

  int64_t elements() const;  // product of the shape; 1 for a scalar
  size_t bytes() const { return static_cast<size_t>(elements()) * SizeOf(dtype); }
  std::string ToString() const;  // "image uint8[28,28]"
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

// `rows` samples' values of one column, [rows, *spec.shape].
struct Column {
  TensorSpec spec;
  std::vector<std::byte> data;
};

// Some samples, column by column. Every column holds rows * spec.bytes() bytes.
struct SampleBatch {
  int64_t rows = 0;
  std::vector<Column> columns;

  const Column* Find(std::string_view name) const;  // nullptr if there is none
};

// Refuses unknown dtypes, empty or repeated names, dimensions below 1 and samples above 64 MiB.
absl::Status ValidateColumns(const std::vector<TensorSpec>& columns);

// Refuses a batch whose columns are not exactly `columns`, whose byte counts do not fit, or that holds a NaN or an
// infinity. The message names the row (relative to the batch) and the column.
absl::Status ValidateBatch(const SampleBatch& batch, const std::vector<TensorSpec>& columns);

}  // namespace bif
