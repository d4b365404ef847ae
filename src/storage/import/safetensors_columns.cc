// RowSource over a safetensors file: a tensor a column, rows along its first dimension. A variable
// column has two: its rows' elements one after the other, and how many of them each row has.

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
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

constexpr char kLengthsSuffix[] = ".lengths";

struct FileColumn {
  TensorSpec column;
  ElementType type;
  std::string_view bytes;
  size_t step_bytes;           // of a row, or of one step of a variable row
  std::vector<int64_t> steps;  // of a variable column: [row + 1], steps before each row

  size_t Begin(int64_t row) const {
    const int64_t before = column.variable() ? steps[static_cast<size_t>(row)] : row;
    return step_bytes * static_cast<size_t>(before);
  }
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
    batch.rows = RowsThatFit(std::min(max_rows, rows_ - next_row_));
    const int64_t end_row = next_row_ + batch.rows;
    for (const FileColumn& from : file_columns_) {
      Column& to = batch.columns.emplace_back();
      to.spec = from.column;
      const size_t begin = from.Begin(next_row_), end = from.Begin(end_row);
      BIF_RETURN_IF_ERROR(AppendConverted(
          absl::StrCat(path_, ": tensor '", from.column.name, "'"), static_cast<int64_t>(begin),
          from.type, from.bytes.substr(begin, end - begin), from.column.dtype, to.data));
      if (!to.spec.variable()) continue;
      for (int64_t row = next_row_; row < end_row; ++row) {
        const int64_t steps = from.steps[row + 1] - from.steps[next_row_];
        to.row_ends.push_back(static_cast<uint64_t>(steps) * to.spec.bytes());
      }
    }
    next_row_ = end_row;
    return batch;
  }

 private:
  // How many of `wanted` rows stay below a batch's bytes; one if the next is larger.
  int64_t RowsThatFit(int64_t wanted) const {
    int64_t rows = 0;
    for (size_t bytes = 0; rows < wanted; ++rows) {
      for (const FileColumn& column : file_columns_)
        bytes += column.Begin(next_row_ + rows + 1) - column.Begin(next_row_ + rows);
      if (bytes > kImportBatchBytes) break;
    }
    return std::max(rows, std::min<int64_t>(wanted, 1));
  }

  const std::string path_;
  const SafetensorsFile file_;  // holds the bytes
  const std::vector<FileColumn> file_columns_;
  std::vector<TensorSpec> columns_;
  const int64_t rows_;
  int64_t next_row_ = 0;
};

// Reads the rows' lengths of a variable column, whose elements are [total, ...].
absl::StatusOr<std::vector<int64_t>> ReadSteps(const std::string& path,
                                               const SafetensorsTensor& lengths,
                                               const SafetensorsTensor& elements) {
  const std::string where = absl::StrCat(path, ": tensor '", lengths.name, "'");
  const std::optional<ElementType> type = TypeOf(lengths.dtype);
  if (!type.has_value() || !IsInteger(*type) || lengths.shape.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": lengths of rows are integers, one a row"));
  }
  std::vector<std::byte> bytes;
  BIF_RETURN_IF_ERROR(AppendConverted(where, 0, *type, lengths.bytes, DType::kInt64, bytes));
  const int64_t total = elements.shape[0];
  std::vector<int64_t> steps = {0};
  for (int64_t row = 0; row < lengths.shape[0]; ++row) {
    int64_t length;
    std::memcpy(&length, bytes.data() + row * static_cast<int64_t>(sizeof(length)), sizeof(length));
    if (length < 1) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": row ", row, " has length ", length,
                                                     "; a sample has at least one element"));
    }
    if (length > total - steps.back()) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": rows up to ", row,
                                                     " have more elements than the ", total,
                                                     " of tensor '", elements.name, "'"));
    }
    steps.push_back(steps.back() + length);
  }
  if (steps.back() != total) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": all rows together have ", steps.back(),
                                                   " elements, but tensor '", elements.name,
                                                   "' has ", total));
  }
  return steps;
}

// The tensor as a column: the declared one if there is one, else as the file has it.
absl::StatusOr<FileColumn> Bind(const std::string& path, const SafetensorsFile& file,
                                const SafetensorsTensor& tensor, const TensorSpec* declared) {
  const std::string where = absl::StrCat(path, ": tensor '", tensor.name, "'");
  const std::optional<ElementType> type = TypeOf(tensor.dtype);
  if (!type.has_value()) {
    const std::string_view name = SafetensorsDTypeName(tensor.dtype);
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": dtype ", absl::string_view(name.data(), name.size()), " cannot fill a column"));
  }
  if (tensor.shape.empty())
    return absl::InvalidArgumentError(absl::StrCat(where, ": a scalar has no rows"));
  FileColumn column{{tensor.name, NaturalDType(*type), tensor.shape}, *type, tensor.bytes, 0, {}};
  std::vector<int64_t>& shape = column.column.shape;
  const SafetensorsTensor* lengths = file.Find(tensor.name + kLengthsSuffix);
  const bool variable = declared != nullptr ? declared->variable() : lengths != nullptr;
  if (variable && lengths != nullptr) {
    BIF_ASSIGN_OR_RETURN(column.steps, ReadSteps(path, *lengths, tensor));
  } else {
    shape.erase(shape.begin());  // the rows
  }
  if (variable && lengths == nullptr) {  // rows of one length
    if (shape.size() != declared->shape.size() || shape[0] < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": column ", declared->ToString(), " needs the rows' lengths in '",
                       tensor.name, kLengthsSuffix, "', or a tensor [rows, length, ...]"));
    }
    for (int64_t row = 0; row <= tensor.shape[0]; ++row) column.steps.push_back(row * shape[0]);
  }
  if (variable) shape[0] = -1;
  if (declared != nullptr) {
    BIF_RETURN_IF_ERROR(CheckColumn(where, *type, shape, *declared));
    column.column = *declared;
  }
  column.step_bytes = SizeOf(*type) * static_cast<size_t>(column.column.elements());
  return column;
}

// Whether a tensor holds the lengths of another tensor's rows, which a variable column needs.
bool HoldsLengths(const SafetensorsFile& file, const std::vector<TensorSpec>& columns,
                  absl::string_view name) {
  if (!absl::ConsumeSuffix(&name, kLengthsSuffix)) return false;
  const std::string elements(name);
  if (columns.empty()) return file.Find(elements) != nullptr;
  const TensorSpec* column = FindColumn(columns, elements);
  return column != nullptr && column->variable();
}

// The tensors that are columns, in the order of the columns.
absl::StatusOr<std::vector<const SafetensorsTensor*>> ColumnTensors(
    const std::string& path, const SafetensorsFile& file, const std::vector<TensorSpec>& columns) {
  std::vector<const SafetensorsTensor*> tensors;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    const bool is_column = FindColumn(columns, tensor.name) != nullptr;
    if (!is_column && HoldsLengths(file, columns, tensor.name)) continue;
    if (!is_column && !columns.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the dataset has no column for tensor '", tensor.name, "'"));
    }
    tensors.push_back(&tensor);
  }
  if (tensors.empty())
    return absl::InvalidArgumentError(absl::StrCat(path, ": the file holds no tensor"));
  if (columns.empty()) {
    std::sort(
        tensors.begin(), tensors.end(),
        [](const SafetensorsTensor* a, const SafetensorsTensor* b) { return a->name < b->name; });
    return tensors;
  }
  tensors.clear();
  for (const TensorSpec& column : columns) {
    tensors.push_back(file.Find(column.name));
    if (tensors.back() == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": no tensor fills the dataset's column '", column.name, "'"));
    }
  }
  return tensors;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RowSource>> OpenSafetensorsColumns(
    const std::string& path, const std::vector<TensorSpec>& columns) {
  BIF_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
  BIF_ASSIGN_OR_RETURN(const auto tensors, ColumnTensors(path, file, columns));
  std::vector<FileColumn> file_columns;
  int64_t rows = 0;
  for (const SafetensorsTensor* tensor : tensors) {
    BIF_ASSIGN_OR_RETURN(FileColumn column,
                         Bind(path, file, *tensor, FindColumn(columns, tensor->name)));
    const int64_t column_rows =
        column.column.variable() ? static_cast<int64_t>(column.steps.size()) - 1 : tensor->shape[0];
    if (file_columns.empty()) rows = column_rows;
    if (column_rows != rows) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": tensor '", tensor->name,
                                                     "': ", column_rows, " rows, but tensor '",
                                                     tensors[0]->name, "' has ", rows));
    }
    file_columns.push_back(std::move(column));
  }
  return std::make_unique<SafetensorsSource>(path, std::move(file), std::move(file_columns), rows);
}

}  // namespace bif::storage
