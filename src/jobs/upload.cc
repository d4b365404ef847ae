#include "src/jobs/upload.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

constexpr int64_t kCopyChunkBytes = 1 << 20;
constexpr int64_t kDiskCheckBytes =
    64 << 20;  // how far a file may grow before the disk is asked again

}  // namespace

absl::StatusOr<std::unique_ptr<Upload>> Upload::Start(storage::Store& store, int64_t max_bytes) {
  BIF_ASSIGN_OR_RETURN(auto writer, store.blobs().NewBlob());
  return std::unique_ptr<Upload>(new Upload(store, std::move(writer), max_bytes));
}

absl::Status Upload::Append(std::string_view bytes) {
  bytes_ += static_cast<int64_t>(bytes.size());
  if (bytes_ > max_bytes_) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                          "the file is larger than the limit of ", max_bytes_, " bytes")),
                      "FILE_TOO_LARGE");
  }
  if (bytes_ > checked_bytes_) {
    BIF_RETURN_IF_ERROR(store_.HasSpaceFor(kDiskCheckBytes));
    checked_bytes_ = bytes_ + kDiskCheckBytes;
  }
  return writer_->Append(bytes);
}

absl::Status Upload::AppendFile(const std::string& path, const std::string& name,
                                std::string_view field) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    return FieldError(field, absl::StrCat(name, " is not a file"));
  std::ifstream file(path, std::ios::binary);
  if (!file) return FieldError(field, absl::StrCat(name, " cannot be opened"));
  std::string chunk(kCopyChunkBytes, '\0');
  while (file.read(chunk.data(), kCopyChunkBytes) || file.gcount() > 0) {
    BIF_RETURN_IF_ERROR(Append(std::string_view(chunk).substr(0, file.gcount())));
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(name, " cannot be read to its end"));
  return absl::OkStatus();
}

absl::Status WithFileNames(const absl::Status& status, absl::Span<const NamedUpload> files) {
  std::string message(status.message());
  for (const NamedUpload& file : files) {
    message = absl::StrReplaceAll(
        message, {{file.upload->temporary_path(), file.name.empty() ? "the file" : file.name}});
  }
  absl::Status named(status.code(), message);
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  return named;
}

}  // namespace bif::jobs
