// The common course of CreateProgram, CreateCheckpoint and UploadSamples: a first message with a
// spec, then chunks of a file, or of several files that a message names each, or none.
//
// Thread-compatible; confined to its call.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/status.h"
#include "src/jobs/upload.h"

namespace bif::server {

inline constexpr size_t kMaxChunkBytes = size_t{1} << 20;

class UploadState {
 public:
  // Where a new file begins.
  using NewUpload = std::function<absl::StatusOr<std::unique_ptr<jobs::Upload>>()>;
  explicit UploadState(NewUpload new_upload) : new_upload_(std::move(new_upload)) {}

  // Counts a message in. The first must be the spec and no other may be; a message with neither is
  // refused.
  absl::Status CountSpec() {
    if (messages_++ > 0) return FieldError("spec", "only the first message may carry it");
    return absl::OkStatus();
  }
  absl::Status CountEmpty() const {
    return FieldError("part", "is missing; send the spec, then chunks");
  }

  // The chunks that follow are of another file. `allowed` is false where the spec says that the
  // bytes come from elsewhere.
  absl::Status StartFile(const std::string& name, bool allowed) {
    if (messages_++ == 0) return BeforeTheSpec("file");
    if (!allowed) return NoFileExpected("file");
    if (name.empty() || name.find('/') != std::string::npos)
      return FieldError("file", "must be a file's name, without folders");
    if (!files_.empty() && files_.front().name.empty())
      return FieldError("file", "came after chunks of a file without a name");
    for (const jobs::NamedUpload& file : files_) {
      if (file.name == name) return FieldError("file", "names " + name + " a second time");
    }
    return AddFile(name);
  }

  absl::Status AddChunk(const std::string& chunk, bool allowed) {
    if (messages_++ == 0) return BeforeTheSpec("chunk");
    if (!allowed) return NoFileExpected("chunk");
    if (chunk.size() > kMaxChunkBytes) {
      return FieldError("chunk",
                        "has " + std::to_string(chunk.size()) + " bytes; at most 1 MiB a message");
    }
    if (files_.empty()) BIF_RETURN_IF_ERROR(AddFile(""));
    return files_.back().upload->Append(chunk);
  }

  bool has_spec() const { return messages_ > 0; }
  bool has_file() const { return !files_.empty(); }
  jobs::NamedUpload TakeFile() { return std::move(files_.front()); }
  std::vector<jobs::NamedUpload> TakeFiles() { return std::move(files_); }

 private:
  static absl::Status BeforeTheSpec(const char* part) {
    return FieldError(part, "came before the spec; the first message must carry the spec");
  }
  static absl::Status NoFileExpected(const char* part) {
    return FieldError(part, "came although the spec says that no file follows");
  }

  absl::Status AddFile(const std::string& name) {
    if (files_.size() == jobs::kMaxFiles) {
      return FieldError(
          "file", "is one too many; at most " + std::to_string(jobs::kMaxFiles) + " may come");
    }
    BIF_ASSIGN_OR_RETURN(std::unique_ptr<jobs::Upload> upload, new_upload_());
    files_.push_back({name, std::move(upload)});
    return absl::OkStatus();
  }

  const NewUpload new_upload_;
  int64_t messages_ = 0;
  std::vector<jobs::NamedUpload> files_;
};

}  // namespace bif::server
