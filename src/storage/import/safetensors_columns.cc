// RowSource over a safetensors file: a tensor a column, rows along its first dimension.

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/safetensors.h"
#include "src/base/status.h"
#include "src/storage/import/column_conversion.h"
#include "src/storage/import/row_source.h"

namespace bif::storage {
namespace {

std::optional<ElementType> TypeOf(SafetensorsDType dtype) {
  switch (dtype) {
    case SafetensorsDType::kBool:
      return ElementType::kBool;
    case SafetensorsDType::kUint8:
      return ElementType::kUint8;
    case SafetensorsDType::kInt8:
      return ElementType::kInt8;
    case SafetensorsDType::kUint16:
      return ElementType::kUint16;
    case SafetensorsDType::kInt16:
      return ElementType::kInt16;
    case SafetensorsDType::kUint32:
      return ElementType::kUint32;
    case SafetensorsDType::kInt32:
      return ElementType::kInt32;
    case SafetensorsDType::kUint64:
      return ElementType::kUint64;
    case SafetensorsDType::kInt64:
      return ElementType::kInt64;
    case SafetensorsDType::kFloat32:
      return ElementType::kFloat32;
    default:
      return std::nullopt;
  }
}

struct FileColumn {
  TensorSpec column;
  ElementType type;
  std::string_view bytes;
  size_t row_bytes;
};

class SafetensorsSource : public RowSource {
 public:
  SafetensorsSource(std::string path, SafetensorsFile file, std::vector<FileColumn> file_columns,
                    int64_t rows)
      : path_(std::move(path)),
        file_(std::move(file)),
        file_columns_(std::move(file_columns)),
        rows_(rows) {
    for (const FileColumn& file_column : file_columns_) columns_.push_back(file_column.column);
  }
  const std::vector<TensorSpec>& columns() const override { return columns_; }
  int64_t rows() const override { return rows_; }

  absl::StatusOr<SampleBatch> Next(int64_t max_rows) override {
    SampleBatch batch;
    batch.rows = BatchRows(std::min(max_rows, rows_ - next_row_), columns_);
    for (const FileColumn& from : file_columns_) {
      batch.columns.push_back({from.column, {}});
      const size_t begin = from.row_bytes * static_cast<size_t>(next_row_);
      BIF_RETURN_IF_ERROR(AppendConverted(
          absl::StrCat(path_, ": tensor '", from.column.name, "'"), static_cast<int64_t>(begin),
          from.type, from.bytes.substr(begin, from.row_bytes * static_cast<size_t>(batch.rows)),
          from.column.dtype, batch.columns.back().data));
    }
    next_row_ += batch.rows;
    return batch;
  }

 private:
  const std::string path_;
  const SafetensorsFile file_;  // holds the bytes
  const std::vector<FileColumn> file_columns_;
  std::vector<TensorSpec> columns_;
  const int64_t rows_;
  int64_t next_row_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowSource>> OpenSafetensorsColumns(
    const std::string& path, const std::vector<TensorSpec>& columns) {
  BIF_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
  std::vector<const SafetensorsTensor*> tensors;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    if (!columns.empty() && FindColumn(columns, tensor.name) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the dataset has no column for tensor '", tensor.name, "'"));
    }
    tensors.push_back(&tensor);
  }
  if (tensors.empty())
    return absl::InvalidArgumentError(absl::StrCat(path, ": the file holds no tensor"));
  std::sort(
      tensors.begin(), tensors.end(),
      [](const SafetensorsTensor* a, const SafetensorsTensor* b) { return a->name < b->name; });
  if (!columns.empty()) {
    tensors.clear();
    for (const TensorSpec& column : columns) {
      tensors.push_back(file.Find(column.name));
      if (tensors.back() == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat(path, ": no tensor fills the dataset's column '", column.name, "'"));
      }
    }
  }

  std::vector<FileColumn> file_columns;
  const int64_t rows = tensors[0]->shape.empty() ? 0 : tensors[0]->shape[0];
  for (const SafetensorsTensor* tensor : tensors) {
    const std::string where = absl::StrCat(path, ": tensor '", tensor->name, "'");
    const std::optional<ElementType> type = TypeOf(tensor->dtype);
    if (!type.has_value()) {
      const std::string_view name = SafetensorsDTypeName(tensor->dtype);
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": dtype ", absl::string_view(name.data(), name.size()), " cannot fill a column"));
    }
    if (tensor->shape.empty())
      return absl::InvalidArgumentError(absl::StrCat(where, ": a scalar has no rows"));
    if (tensor->shape[0] != rows) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": ", tensor->shape[0], " rows, but tensor '", tensors[0]->name, "' has ", rows));
    }
    const std::vector<int64_t> row_shape(tensor->shape.begin() + 1, tensor->shape.end());
    const TensorSpec* declared = FindColumn(columns, tensor->name);
    const TensorSpec column =
        declared != nullptr ? *declared : TensorSpec{tensor->name, NaturalDType(*type), row_shape};
    BIF_RETURN_IF_ERROR(CheckColumn(where, *type, row_shape, column));
    const size_t row_bytes = rows == 0 ? 0 : tensor->bytes.size() / static_cast<size_t>(rows);
    file_columns.push_back({column, *type, tensor->bytes, row_bytes});
  }
  return std::make_unique<SafetensorsSource>(path, std::move(file), std::move(file_columns), rows);
}

}  // namespace bif::storage
