#include "src/base/tensor.h"

#include <cmath>
#include <cstring>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"

namespace bif {
namespace {

constexpr int64_t kMaxSampleBytes = int64_t{64} << 20;

absl::Status ValidateColumn(const TensorSpec& spec) {
  if (spec.name.empty()) return absl::InvalidArgumentError("a column needs a name");
  if (SizeOf(spec.dtype) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' has no known dtype"));
  }
  int64_t elements = 1;
  for (int64_t dimension : spec.shape) {
    if (dimension < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("column '", spec.name, "' has a dimension of ", dimension, "; each must be at least 1"));
    }
    if (dimension > kMaxSampleBytes / elements) {
      return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' is larger than 64 MiB a sample"));
    }
    elements *= dimension;
  }
  return absl::OkStatus();
}

absl::Status CheckFinite(const Column& column, int64_t rows) {
  const int64_t elements = column.spec.elements();
  for (int64_t i = 0; i < rows * elements; ++i) {
    float value;
    std::memcpy(&value, column.data.data() + i * sizeof(float), sizeof(float));
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(absl::StrCat("row ", i / elements, " of column '", column.spec.name, "' holds ",
                                                     std::isnan(value) ? "a NaN" : "an infinity", " at element ",
                                                     i % elements));
    }
  }
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
  for (int64_t dimension : shape) product *= dimension;
  return product;
}

std::string TensorSpec::ToString() const {
  const std::string_view type = DTypeName(dtype);
  return absl::StrCat(name, " ", absl::string_view(type.data(), type.size()), "[", absl::StrJoin(shape, ","), "]");
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
    return absl::InvalidArgumentError(absl::StrCat("a sample has ", sample_bytes, " bytes; at most 64 MiB are stored"));
  }
  return absl::OkStatus();
}

absl::Status ValidateBatch(const SampleBatch& batch, const std::vector<TensorSpec>& columns) {
  if (batch.columns.size() != columns.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", batch.columns.size(), " columns where the dataset has ", columns.size()));
  }
  for (const TensorSpec& spec : columns) {
    const Column* column = batch.Find(spec.name);
    if (column == nullptr) return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' is missing"));
    if (!(column->spec == spec)) {
      return absl::InvalidArgumentError(
          absl::StrCat("column is ", column->spec.ToString(), " where the dataset has ", spec.ToString()));
    }
    const size_t expected_bytes = static_cast<size_t>(batch.rows) * spec.bytes();
    if (column->data.size() != expected_bytes) {
      return absl::InvalidArgumentError(absl::StrCat("column '", spec.name, "' has ", column->data.size(),
                                                     " bytes where ", batch.rows, " rows need ", expected_bytes));
    }
    if (spec.dtype == DType::kFloat32) BIF_RETURN_IF_ERROR(CheckFinite(*column, batch.rows));
  }
  return absl::OkStatus();
}

}  // namespace bif
