// A file that comes in, kept under a temporary name until something refers to it. Dropped before
// Finish, it leaves nothing behind. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/storage/store.h"

namespace bif::jobs {

class Upload {
 public:
  // `store` must outlive it. The file may have at most `max_bytes`.
  static absl::StatusOr<std::unique_ptr<Upload>> Start(storage::Store& store, int64_t max_bytes);

  // RESOURCE_EXHAUSTED when the file grows beyond the limit, or beyond the disk's free space.
  absl::Status Append(std::string_view bytes);
  // Appends a file's content. `name` and the request's `field` are for messages.
  absl::Status AppendFile(const std::string& path, const std::string& name, std::string_view field);

  // To look at the file before Finish. A name that tells the client nothing: keep it out of
  // messages.
  const std::string& temporary_path() const { return writer_->temporary_path(); }
  // The name of the blob that it becomes: durable, but nobody refers to it yet.
  absl::StatusOr<std::string> Finish() { return writer_->Finish(); }

 private:
  Upload(storage::Store& store, std::unique_ptr<storage::BlobStore::Writer> writer,
         int64_t max_bytes)
      : store_(store), writer_(std::move(writer)), max_bytes_(max_bytes) {}

  storage::Store& store_;
  const std::unique_ptr<storage::BlobStore::Writer> writer_;
  const int64_t max_bytes_;
  int64_t bytes_ = 0;
  int64_t checked_bytes_ = 0;  // the disk was asked for this much
};

struct NamedUpload {
  std::string name;  // as the client calls it; may be empty for a file that comes alone
  std::unique_ptr<Upload> upload;
};

// How many may belong to one request: each is an open file.
inline constexpr size_t kMaxFiles = 500;

// The same status, with the files' names where the message has their temporary paths: "the file"
// for one without.
absl::Status WithFileNames(const absl::Status& status, absl::Span<const NamedUpload> files);

}  // namespace bif::jobs
