// RowSource over IDX files: magic {0, 0, type, dimensions}, then each dimension and the values, big
// endian.

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/import/column_conversion.h"
#include "src/storage/import/input_stream.h"
#include "src/storage/import/row_source.h"

namespace bif::storage {
namespace {

std::optional<ElementType> TypeOfCode(unsigned char code) {
  switch (code) {
    case 0x08:
      return ElementType::kUint8;
    case 0x09:
      return ElementType::kInt8;
    case 0x0B:
      return ElementType::kInt16;
    case 0x0C:
      return ElementType::kInt32;
    case 0x0D:
      return ElementType::kFloat32;
    default:
      return std::nullopt;  // 0x0E, float64, would lose digits
  }
}

struct IdxFile {
  std::unique_ptr<InputStream> stream;
  ElementType type = ElementType::kUint8;
  int64_t rows = 0;
  std::vector<int64_t> row_shape;
  TensorSpec column;

  size_t row_bytes() const {
    size_t bytes = SizeOf(type);
    for (const int64_t dimension : row_shape) bytes *= static_cast<size_t>(dimension);
    return bytes;
  }
};

absl::StatusOr<IdxFile> ReadHeader(const std::string& path) {
  IdxFile file;
  BIF_ASSIGN_OR_RETURN(file.stream, InputStream::Open(path));
  std::array<char, 4> magic;
  BIF_RETURN_IF_ERROR(file.stream->Read(magic.data(), magic.size()));
  const std::optional<ElementType> type = TypeOfCode(static_cast<unsigned char>(magic[2]));
  if (magic[0] != 0 || magic[1] != 0 || !type.has_value() || magic[3] < 1 || magic[3] > 8) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not an IDX file of integers or float32: wrong magic number at byte 0"));
  }
  file.type = *type;
  int64_t row_elements = 1;
  for (int d = 0; d < magic[3]; ++d) {
    const int64_t at = file.stream->offset();
    std::array<char, 4> bytes;
    BIF_RETURN_IF_ERROR(file.stream->Read(bytes.data(), bytes.size()));
    const int64_t dimension = ReadBigEndian<uint32_t>({bytes.data(), bytes.size()}, 0);
    if (d == 0) {
      file.rows = dimension;
      continue;
    }
    constexpr int64_t kMaxRowElements = 64 << 20;  // base's bound of one sample
    if (dimension < 1 || dimension > kMaxRowElements / row_elements) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": dimension ", dimension, " at byte ", at));
    }
    row_elements *= dimension;
    file.row_shape.push_back(dimension);
  }
  return file;
}

void SwapBytes(std::string& bytes, size_t element_bytes) {
  if (element_bytes == 1) return;
  for (size_t at = 0; at + element_bytes <= bytes.size(); at += element_bytes) {
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(at),
                 bytes.begin() + static_cast<ptrdiff_t>(at + element_bytes));
  }
}

class IdxSource : public RowSource {
 public:
  explicit IdxSource(std::vector<IdxFile> files) : files_(std::move(files)) {
    for (const IdxFile& file : files_) columns_.push_back(file.column);
  }
  const std::vector<TensorSpec>& columns() const override { return columns_; }
  int64_t rows() const override { return files_[0].rows; }

  absl::StatusOr<SampleBatch> Next(int64_t max_rows) override {
    SampleBatch batch;
    batch.rows = BatchRows(std::min(max_rows, rows() - next_row_), columns_);
    for (IdxFile& file : files_) {
      batch.columns.push_back({file.column, {}});
      if (batch.rows == 0) continue;
      const int64_t first_byte = file.stream->offset();
      buffer_.resize(file.row_bytes() * static_cast<size_t>(batch.rows));
      BIF_RETURN_IF_ERROR(file.stream->Read(buffer_.data(), buffer_.size()));
      SwapBytes(buffer_, SizeOf(file.type));
      BIF_RETURN_IF_ERROR(AppendConverted(file.stream->path(), first_byte, file.type, buffer_,
                                          file.column.dtype, batch.columns.back().data));
    }
    next_row_ += batch.rows;
    if (next_row_ == rows()) {
      for (IdxFile& file : files_) BIF_RETURN_IF_ERROR(file.stream->ExpectEnd());
    }
    return batch;
  }

 private:
  std::vector<IdxFile> files_;
  std::vector<TensorSpec> columns_;
  std::string buffer_;
  int64_t next_row_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowSource>> OpenIdxFiles(const std::vector<IdxColumnFile>& files,
                                                        const std::vector<TensorSpec>& columns) {
  if (files.empty()) return absl::InvalidArgumentError("no IDX file is given");
  std::vector<IdxFile> opened;
  for (const IdxColumnFile& given : files) {
    BIF_ASSIGN_OR_RETURN(IdxFile file, ReadHeader(given.path));
    const TensorSpec* declared = FindColumn(columns, given.column);
    if (declared == nullptr && !columns.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(given.path, ": the dataset has no column '", given.column, "'"));
    }
    file.column = declared != nullptr
                      ? *declared
                      : TensorSpec{given.column, NaturalDType(file.type), file.row_shape};
    BIF_RETURN_IF_ERROR(CheckColumn(given.path, file.type, file.row_shape, file.column));
    for (const IdxFile& other : opened) {
      if (other.column.name == given.column) {
        return absl::InvalidArgumentError(
            absl::StrCat(given.path, ": column '", given.column, "' is filled already"));
      }
      if (other.rows != file.rows) {
        return absl::InvalidArgumentError(absl::StrCat(given.path, ": ", file.rows,
                                                       " rows (byte 4), but ", other.stream->path(),
                                                       " has ", other.rows));
      }
    }
    opened.push_back(std::move(file));
  }
  // In the dataset's order, every column filled.
  std::vector<IdxFile> ordered;
  for (const TensorSpec& column : columns) {
    const auto file = std::find_if(opened.begin(), opened.end(), [&](const IdxFile& candidate) {
      return candidate.column.name == column.name;
    });
    if (file == opened.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no file fills the dataset's column '", column.name, "'"));
    }
    ordered.push_back(std::move(*file));
  }
  return std::make_unique<IdxSource>(columns.empty() ? std::move(opened) : std::move(ordered));
}

}  // namespace bif::storage
