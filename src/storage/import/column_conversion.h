// From the numbers of a file to those of a dataset's column. Pure functions, thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "src/base/tensor.h"

namespace bif::storage {

// What a file's element may be: host byte order, row major.
enum class ElementType {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kUint64,
  kInt64,
  kFloat32,
  kBool
};

// What one batch of an import holds at most, or one row.
inline constexpr size_t kImportBatchBytes = 64 << 20;

size_t SizeOf(ElementType type);
bool IsInteger(ElementType type);
const char* ElementTypeName(ElementType type);
// The dtype that needs no conversion; for integers that no dtype equals, the next wider one.
DType NaturalDType(ElementType type);

// INVALID_ARGUMENT, with `where` before the message, if elements of this type and row shape cannot
// fill the column.
absl::Status CheckColumn(const std::string& where, ElementType type,
                         const std::vector<int64_t>& row_shape, const TensorSpec& column);

// Appends `bytes`, converted, to `data`. `where` and `first_byte`, the position of `bytes` in the
// file, are for messages.
absl::Status AppendConverted(const std::string& where, int64_t first_byte, ElementType type,
                             std::string_view bytes, DType dtype, std::vector<std::byte>& data);

// The declared column of that name; nullptr if there is none.
const TensorSpec* FindColumn(const std::vector<TensorSpec>& columns, std::string_view name);

// How many of `wanted` rows to read at once, so that a batch stays below kImportBatchBytes, or is
// one row. The columns are not variable.
int64_t BatchRows(int64_t wanted, const std::vector<TensorSpec>& columns);

}  // namespace bif::storage
