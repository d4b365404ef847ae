#include "src/base/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"

namespace bif {
namespace {

absl::Status ValidateColumn(const TensorSpec& spec) {
  if (spec.name.empty()) return absl::InvalidArgumentError("a column needs a name");
  if (SizeOf(spec.dtype) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' has no known dtype"));
  }
  int64_t elements = 1;
  for (int64_t dimension : absl::MakeConstSpan(spec.shape).subspan(spec.variable() ? 1 : 0)) {
    if (dimension < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("column '", spec.name, "' has a dimension of ", dimension,
                       "; each must be at least 1, but the first may be -1: any length"));
    }
    if (dimension > kMaxSampleBytes / elements) {
      return absl::InvalidArgumentError(
          absl::StrCat("column '", spec.name, "' is larger than 64 MiB a sample"));
    }
    elements *= dimension;
  }
  return absl::OkStatus();
}

absl::Status CheckFinite(const Column& column, int64_t row) {
  const absl::Span<const std::byte> bytes = column.Row(row);
  for (size_t i = 0; i < bytes.size() / sizeof(float); ++i) {
    float value;
    std::memcpy(&value, bytes.data() + i * sizeof(float), sizeof(float));
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row, " of column '", column.spec.name, "' holds ",
                       std::isnan(value) ? "a NaN" : "an infinity", " at element ", i));
    }
  }
  return absl::OkStatus();
}

// Whether the rows that row_ends tells of are whole, not empty, and all of the data.
absl::Status CheckRowEnds(const Column& column, int64_t rows) {
  const auto wrong = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("column '", column.spec.name, "' ", what...));
  };
  if (column.row_ends.size() != static_cast<size_t>(rows)) {
    return wrong("has the lengths of ", column.row_ends.size(), " rows, not of ", rows);
  }
  const uint64_t step_bytes = column.spec.bytes();
  uint64_t begin = 0;
  for (size_t row = 0; row < column.row_ends.size(); ++row) {
    const uint64_t end = column.row_ends[row];
    if (end == begin) return wrong("is empty in row ", row, "; a sample has at least one element");
    if (end < begin || end > column.data.size() || (end - begin) % step_bytes != 0) {
      return wrong("has a row ", row, " of bytes ", begin, " to ", end, ", which does not fit ",
                   column.spec.ToString());
    }
    begin = end;
  }
  if (begin != column.data.size())
    return wrong("has ", column.data.size() - begin, " bytes after its last row");
  return absl::OkStatus();
}

}  // namespace

size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kUnspecified:
      return 0;
    case DType::kUint8:
    case DType::kBool:
      return 1;
    case DType::kInt32:
    case DType::kFloat32:
      return 4;
    case DType::kInt64:
      return 8;
  }
  return 0;
}

std::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kUnspecified:
      return "any";
    case DType::kUint8:
      return "uint8";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
    case DType::kFloat32:
      return "float32";
    case DType::kBool:
      return "bool";
  }
  return "unknown";
}

int64_t TensorSpec::elements() const {
  int64_t product = 1;
  for (int64_t dimension : absl::MakeConstSpan(shape).subspan(variable() ? 1 : 0))
    product *= dimension;
  return product;
}

std::string TensorSpec::ToString() const {
  const std::string_view type = DTypeName(dtype);
  return absl::StrCat(name, " ", absl::string_view(type.data(), type.size()), "[",
                      absl::StrJoin(shape, ","), "]");
}

absl::Span<const std::byte> Column::Rows(int64_t first, int64_t count) const {
  const auto end_of = [this](int64_t rows) -> size_t {
    if (!spec.variable()) return static_cast<size_t>(rows) * spec.bytes();
    return rows == 0 ? 0 : row_ends[static_cast<size_t>(rows - 1)];
  };
  return absl::MakeConstSpan(data).subspan(end_of(first), end_of(first + count) - end_of(first));
}

std::vector<int64_t> Column::RowShape(int64_t row) const {
  std::vector<int64_t> shape = spec.shape;
  if (spec.variable()) shape[0] = static_cast<int64_t>(Row(row).size() / spec.bytes());
  return shape;
}

void Column::Append(absl::Span<const std::byte> row) {
  data.insert(data.end(), row.begin(), row.end());
  if (spec.variable()) row_ends.push_back(data.size());
}

void Column::AppendRows(const Column& from, int64_t first, int64_t count) {
  const absl::Span<const std::byte> bytes = from.Rows(first, count);
  if (spec.variable()) {
    const uint64_t shift = data.size() - static_cast<uint64_t>(bytes.data() - from.data.data());
    for (int64_t row = first; row < first + count; ++row)
      row_ends.push_back(from.row_ends[row] + shift);
  }
  data.insert(data.end(), bytes.begin(), bytes.end());
}

const Column* SampleBatch::Find(std::string_view name) const {
  for (const Column& column : columns) {
    if (column.spec.name == name) return &column;
  }
  return nullptr;
}

absl::Status ValidateColumns(const std::vector<TensorSpec>& columns) {
  if (columns.empty()) return absl::InvalidArgumentError("a dataset needs at least one column");
  std::unordered_set<std::string> names;
  int64_t sample_bytes = 0;
  for (const TensorSpec& spec : columns) {
    BIF_RETURN_IF_ERROR(ValidateColumn(spec));
    if (!names.insert(spec.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' is named twice"));
    }
    sample_bytes += static_cast<int64_t>(spec.bytes());
  }
  if (sample_bytes > kMaxSampleBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a sample has ", sample_bytes, " bytes; at most 64 MiB are stored"));
  }
  return absl::OkStatus();
}

absl::Status ValidateRows(const Column& column, int64_t rows) {
  if (column.spec.variable()) return CheckRowEnds(column, rows);
  const size_t expected_bytes = static_cast<size_t>(rows) * column.spec.bytes();
  if (column.data.size() == expected_bytes && column.row_ends.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("column '", column.spec.name, "' has ",
                                                 column.data.size(), " bytes where ", rows,
                                                 " rows need ", expected_bytes));
}

absl::Status ValidateBatch(const SampleBatch& batch, const std::vector<TensorSpec>& columns) {
  if (batch.columns.size() != columns.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", batch.columns.size(), " columns where the dataset has ", columns.size()));
  }
  for (const TensorSpec& spec : columns) {
    const Column* column = batch.Find(spec.name);
    if (column == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' is missing"));
    if (!(column->spec == spec)) {
      return absl::InvalidArgumentError(absl::StrCat("column is ", column->spec.ToString(),
                                                     " where the dataset has ", spec.ToString()));
    }
    BIF_RETURN_IF_ERROR(ValidateRows(*column, batch.rows));
    if (spec.dtype != DType::kFloat32) continue;
    for (int64_t row = 0; row < batch.rows; ++row) BIF_RETURN_IF_ERROR(CheckFinite(*column, row));
  }
  if (std::none_of(columns.begin(), columns.end(),
                   [](const TensorSpec& spec) { return spec.variable(); })) {
    return absl::OkStatus();
  }
  for (int64_t row = 0; row < batch.rows; ++row) {
    size_t bytes = 0;
    for (const Column& column : batch.columns) bytes += column.Row(row).size();
    if (bytes > static_cast<size_t>(kMaxSampleBytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row, " has ", bytes, " bytes; a sample has at most 64 MiB"));
    }
  }
  return absl::OkStatus();
}

}  // namespace bif
