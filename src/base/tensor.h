// Named tensors of samples in host memory: what a dataset stores and what an engine evaluates.
//
// Bytes are little endian and row major. All types are plain values: thread-compatible, copied and
// moved freely.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bif {

// The numbers are stored on disk and sent in the API (bif.v1.DType): never reuse one.
enum class DType : uint8_t {
  kUnspecified = 0,
  kUint8 = 1,
  kInt32 = 2,
  kInt64 = 3,
  kFloat32 = 4,
  kBool = 5
};

size_t SizeOf(DType dtype);               // bytes of one element; 0 for kUnspecified
std::string_view DTypeName(DType dtype);  // "uint8"

// One column: the shape of one sample's tensor, without the batch dimension. A scalar has an empty
// shape. In a variable column the first dimension is -1: samples of any length, such as token
// sequences, but of one element at least.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kUnspecified;
  std::vector<int64_t> shape;

  bool variable() const { return !shape.empty() && shape[0] == -1; }
  // The product of the shape; 1 for a scalar. Of a variable column: of a sample of length 1, so a
  // sample's bytes are a multiple of bytes().
  int64_t elements() const;
  size_t bytes() const { return static_cast<size_t>(elements()) * SizeOf(dtype); }
  std::string ToString() const;  // "image uint8[28,28]"
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

// A sample's tensors together.
inline constexpr int64_t kMaxSampleBytes = int64_t{64} << 20;

// Some samples' values of one column, row after row. Row numbers must be those of rows that are
// there.
struct Column {
  TensorSpec spec;
  std::vector<std::byte> data;
  // Where each row's data ends, in bytes. Only if spec.variable(): other rows lie at multiples of
  // spec.bytes().
  std::vector<uint64_t> row_ends = {};

  absl::Span<const std::byte> Row(int64_t row) const { return Rows(row, 1); }
  absl::Span<const std::byte> Rows(int64_t first, int64_t count) const;
  std::vector<int64_t> RowShape(int64_t row) const;  // spec.shape with the row's own length

  // Adds one row. It is for the caller to see that its size fits the spec.
  void Append(absl::Span<const std::byte> row);
  // Adds rows [first, first + count) of a column with the same spec.
  void AppendRows(const Column& from, int64_t first, int64_t count);
};

// Some samples, column by column. Every column holds `rows` rows.
struct SampleBatch {
  int64_t rows = 0;
  std::vector<Column> columns;

  const Column* Find(std::string_view name) const;  // nullptr if there is none
};

// Refuses unknown dtypes, empty or repeated names, dimensions below 1 (but a first one of -1) and
// samples above 64 MiB.
absl::Status ValidateColumns(const std::vector<TensorSpec>& columns);

// Refuses a column that does not hold exactly `rows` rows, or one without elements; names the row.
absl::Status ValidateRows(const Column& column, int64_t rows);

// Refuses a batch whose columns are not exactly `columns`, whose byte counts do not fit, that has a
// row without elements or above 64 MiB, or that holds a NaN or an infinity. The message names the
// row (relative to the batch) and the column.
absl::Status ValidateBatch(const SampleBatch& batch, const std::vector<TensorSpec>& columns);

}  // namespace bif
