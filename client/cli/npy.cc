#include "client/cli/npy.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bif::client {
namespace {
// Magic, version, two bytes of length, and text padded to a fixed size, so that the row count can
// be filled in later.
constexpr size_t kHeaderBytes = 128;
constexpr size_t kPreambleBytes = 10;
}  // namespace

NpyWriter::NpyWriter(std::string path)
    : path_(std::move(path)), file_(path_, std::ios::binary | std::ios::trunc) {}

NpyWriter::~NpyWriter() {
  if (closed_) return;
  file_.close();
  std::remove(path_.c_str());
}

absl::Status NpyWriter::WriteHeader() {
  std::string shape = absl::StrCat(rows_, ",");
  for (const int64_t size : row_shape_) absl::StrAppend(&shape, " ", size, ",");
  std::string text =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", shape, "), }");
  text.resize(kHeaderBytes - kPreambleBytes - 1, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  file_ << header << text;
  if (!file_) return absl::UnavailableError(absl::StrCat("cannot write ", path_));
  return absl::OkStatus();
}

absl::Status NpyWriter::Append(const float* values, size_t count,
                               const std::vector<int64_t>& row_shape) {
  if (!started_) {
    started_ = true;
    row_shape_ = row_shape;
    if (absl::Status status = WriteHeader(); !status.ok()) return status;
  }
  size_t row_elements = 1;
  for (const int64_t size : row_shape) row_elements *= static_cast<size_t>(size);
  if (row_shape != row_shape_ || row_elements == 0 || count % row_elements != 0) {
    return absl::InternalError("the server sent blocks of different shapes");
  }
  file_.write(reinterpret_cast<const char*>(values),
              static_cast<std::streamsize>(count * sizeof(float)));
  rows_ += static_cast<int64_t>(count / row_elements);
  if (!file_) return absl::UnavailableError(absl::StrCat("cannot write ", path_));
  return absl::OkStatus();
}

absl::Status NpyWriter::Close() {
  file_.seekp(0);
  if (absl::Status status = WriteHeader(); !status.ok()) return status;
  file_.close();
  if (file_.fail()) return absl::UnavailableError(absl::StrCat("cannot write ", path_));
  closed_ = true;
  return absl::OkStatus();
}

}  // namespace bif::client
