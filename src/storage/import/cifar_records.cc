// RowSource over CIFAR-10's binary records.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/import/column_conversion.h"
#include "src/storage/import/input_stream.h"
#include "src/storage/import/row_source.h"

namespace bif::storage {
namespace {

constexpr int64_t kPixels = 3 * 32 * 32;
constexpr int64_t kRecordBytes = 1 + kPixels;
constexpr unsigned char kClasses = 10;

struct CifarFile {
  std::string path;
  int64_t rows;
};

class CifarSource : public RowSource {
 public:
  CifarSource(std::vector<CifarFile> files, std::vector<TensorSpec> columns, size_t image,
              size_t label)
      : files_(std::move(files)), columns_(std::move(columns)), image_(image), label_(label) {
    for (const CifarFile& file : files_) rows_ += file.rows;
  }
  const std::vector<TensorSpec>& columns() const override { return columns_; }
  int64_t rows() const override { return rows_; }

  absl::StatusOr<SampleBatch> Next(int64_t max_rows) override {
    SampleBatch batch;
    for (const TensorSpec& column : columns_) batch.columns.push_back({column, {}});
    while (file_ < files_.size() && next_row_ == files_[file_].rows) {
      if (stream_ != nullptr) BIF_RETURN_IF_ERROR(stream_->ExpectEnd());
      stream_.reset();
      ++file_;
      next_row_ = 0;
    }
    if (file_ == files_.size()) return batch;
    if (stream_ == nullptr) {
      BIF_ASSIGN_OR_RETURN(stream_, InputStream::Open(files_[file_].path));
    }
    batch.rows = BatchRows(std::min(max_rows, files_[file_].rows - next_row_), columns_);
    buffer_.resize(static_cast<size_t>(batch.rows * kRecordBytes));
    const int64_t first_byte = stream_->offset();
    BIF_RETURN_IF_ERROR(stream_->Read(buffer_.data(), buffer_.size()));
    const std::string_view records = buffer_;
    for (int64_t at = 0; at < static_cast<int64_t>(records.size()); at += kRecordBytes) {
      const std::string_view label = records.substr(static_cast<size_t>(at), 1);
      if (static_cast<unsigned char>(label[0]) >= kClasses) {
        return absl::InvalidArgumentError(
            absl::StrCat(stream_->path(), ": label ", static_cast<unsigned char>(label[0]),
                         " at byte ", first_byte + at, ": not a file of CIFAR-10 records"));
      }
      BIF_RETURN_IF_ERROR(AppendConverted(stream_->path(), first_byte + at, ElementType::kUint8,
                                          label, columns_[label_].dtype,
                                          batch.columns[label_].data));
      BIF_RETURN_IF_ERROR(AppendConverted(stream_->path(), first_byte + at + 1, ElementType::kUint8,
                                          records.substr(static_cast<size_t>(at) + 1, kPixels),
                                          columns_[image_].dtype, batch.columns[image_].data));
    }
    next_row_ += batch.rows;
    return batch;
  }

 private:
  const std::vector<CifarFile> files_;
  const std::vector<TensorSpec> columns_;
  const size_t image_, label_;  // positions in columns_
  int64_t rows_ = 0;
  size_t file_ = 0;
  int64_t next_row_ = 0;  // of the current file
  std::unique_ptr<InputStream> stream_;
  std::string buffer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowSource>> OpenCifarRecords(
    const std::vector<std::string>& paths, const std::string& image_column,
    const std::string& label_column, const std::vector<TensorSpec>& columns) {
  if (paths.empty()) return absl::InvalidArgumentError("no file of CIFAR records is given");
  std::vector<TensorSpec> wanted = columns;
  if (wanted.empty()) {
    wanted = {{image_column, DType::kUint8, {3, 32, 32}}, {label_column, DType::kInt64, {}}};
  }
  const TensorSpec* image = FindColumn(wanted, image_column);
  const TensorSpec* label = FindColumn(wanted, label_column);
  if (wanted.size() != 2 || image == nullptr || label == nullptr || image == label) {
    return absl::InvalidArgumentError(
        absl::StrCat("CIFAR records fill two columns, '", image_column, "' and '", label_column,
                     "', but the dataset has ", wanted.size(), " others"));
  }
  BIF_RETURN_IF_ERROR(CheckColumn(paths[0], ElementType::kUint8, {3, 32, 32}, *image));
  BIF_RETURN_IF_ERROR(CheckColumn(paths[0], ElementType::kUint8, {}, *label));
  std::vector<CifarFile> files;
  for (const std::string& path : paths) {
    BIF_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
    if (bytes == 0 || bytes % kRecordBytes != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": its ", bytes, " bytes are not whole records of ", kRecordBytes,
                       ": cut off after byte ", bytes / kRecordBytes * kRecordBytes));
    }
    files.push_back({path, bytes / kRecordBytes});
  }
  const size_t image_at = static_cast<size_t>(image - wanted.data()),
               label_at = static_cast<size_t>(label - wanted.data());
  return std::make_unique<CifarSource>(std::move(files), std::move(wanted), image_at, label_at);
}

}  // namespace bif::storage
