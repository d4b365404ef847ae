#include "src/storage/import/column_conversion.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/storage/import/row_source.h"

namespace bif::storage {
namespace {

// Calls visit with a null pointer to the C++ type.
template <typename Visit>
auto WithIntegerType(ElementType type, Visit visit) {
  switch (type) {
    case ElementType::kInt8:
      return visit(static_cast<int8_t*>(nullptr));
    case ElementType::kUint16:
      return visit(static_cast<uint16_t*>(nullptr));
    case ElementType::kInt16:
      return visit(static_cast<int16_t*>(nullptr));
    case ElementType::kUint32:
      return visit(static_cast<uint32_t*>(nullptr));
    case ElementType::kInt32:
      return visit(static_cast<int32_t*>(nullptr));
    case ElementType::kUint64:
      return visit(static_cast<uint64_t*>(nullptr));
    case ElementType::kInt64:
      return visit(static_cast<int64_t*>(nullptr));
    default:
      return visit(static_cast<uint8_t*>(nullptr));
  }
}
template <typename Visit>
auto WithIntegerType(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::kInt32:
      return visit(static_cast<int32_t*>(nullptr));
    case DType::kInt64:
      return visit(static_cast<int64_t*>(nullptr));
    default:
      return visit(static_cast<uint8_t*>(nullptr));
  }
}

bool IsInteger(DType dtype) {
  return dtype == DType::kUint8 || dtype == DType::kInt32 || dtype == DType::kInt64;
}

bool IsSame(ElementType type, DType dtype) {
  switch (type) {
    case ElementType::kUint8:
      return dtype == DType::kUint8;
    case ElementType::kInt32:
      return dtype == DType::kInt32;
    case ElementType::kInt64:
      return dtype == DType::kInt64;
    case ElementType::kFloat32:
      return dtype == DType::kFloat32;
    case ElementType::kBool:
      return dtype == DType::kBool;
    default:
      return false;
  }
}

template <typename From, typename To>
absl::Status ConvertIntegers(const std::string& where, int64_t first_byte, std::string_view bytes,
                             std::vector<std::byte>& data) {
  const size_t count = bytes.size() / sizeof(From), before = data.size();
  data.resize(before + count * sizeof(To));
  for (size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    if (!std::in_range<To>(value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": the value ", static_cast<int64_t>(value), " at byte ",
          first_byte + static_cast<int64_t>(i * sizeof(From)), " does not fit the column's dtype"));
    }
    const To converted = static_cast<To>(value);
    std::memcpy(data.data() + before + i * sizeof(To), &converted, sizeof(To));
  }
  return absl::OkStatus();
}

std::vector<int64_t> WithoutOnes(std::vector<int64_t> shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
  return shape;
}

}  // namespace

size_t SizeOf(ElementType type) {
  if (type == ElementType::kFloat32) return sizeof(float);
  return WithIntegerType(type, [](auto* integer) { return sizeof(*integer); });
}

bool IsInteger(ElementType type) {
  return type != ElementType::kFloat32 && type != ElementType::kBool;
}

const char* ElementTypeName(ElementType type) {
  static constexpr const char* kNames[] = {"uint8", "int8",   "uint16", "int16",   "uint32",
                                           "int32", "uint64", "int64",  "float32", "bool"};
  return kNames[static_cast<size_t>(type)];
}

DType NaturalDType(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
      return DType::kUint8;
    case ElementType::kInt8:
    case ElementType::kUint16:
    case ElementType::kInt16:
    case ElementType::kInt32:
      return DType::kInt32;
    case ElementType::kFloat32:
      return DType::kFloat32;
    case ElementType::kBool:
      return DType::kBool;
    default:
      return DType::kInt64;
  }
}

absl::Status CheckColumn(const std::string& where, ElementType type,
                         const std::vector<int64_t>& row_shape, const TensorSpec& column) {
  if (WithoutOnes(row_shape) != WithoutOnes(column.shape)) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": rows of shape [",
                                                   absl::StrJoin(row_shape, ","),
                                                   "] cannot fill column ", column.ToString()));
  }
  if (IsSame(type, column.dtype) || (IsInteger(type) && IsInteger(column.dtype)))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", ElementTypeName(type),
                                                 " values cannot fill column ", column.ToString()));
}

absl::Status AppendConverted(const std::string& where, int64_t first_byte, ElementType type,
                             std::string_view bytes, DType dtype, std::vector<std::byte>& data) {
  if (IsSame(type, dtype)) {
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
    data.insert(data.end(), begin, begin + bytes.size());
    return absl::OkStatus();
  }
  return WithIntegerType(type, [&](auto* from) {
    return WithIntegerType(dtype, [&](auto* to) {
      return ConvertIntegers<std::remove_pointer_t<decltype(from)>,
                             std::remove_pointer_t<decltype(to)>>(where, first_byte, bytes, data);
    });
  });
}

const TensorSpec* FindColumn(const std::vector<TensorSpec>& columns, std::string_view name) {
  for (const TensorSpec& column : columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

int64_t BatchRows(int64_t wanted, const std::vector<TensorSpec>& columns) {
  size_t row_bytes = 1;
  for (const TensorSpec& column : columns) row_bytes += column.bytes();
  return std::min(wanted,
                  std::max<int64_t>(1, static_cast<int64_t>(kImportBatchBytes / row_bytes)));
}

absl::Status SkipRows(RowSource& source, int64_t rows) {
  while (rows > 0) {
    const absl::StatusOr<SampleBatch> skipped = source.Next(std::min<int64_t>(rows, 4096));
    if (!skipped.ok()) return skipped.status();
    if (skipped->rows == 0) return absl::OkStatus();
    rows -= skipped->rows;
  }
  return absl::OkStatus();
}

}  // namespace bif::storage
