// The common course of CreateProgram and CreateCheckpoint: a first message with a spec, then chunks
// of a file, or none.
//
// Thread-compatible; confined to its call.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/status.h"
#include "src/jobs/checkpoints.h"

namespace bif::server {

inline constexpr size_t kMaxChunkBytes = size_t{1} << 20;

class UploadState {
 public:
  explicit UploadState(jobs::Checkpoints& checkpoints) : checkpoints_(checkpoints) {}

  // Counts a message in. The first must be the spec and no other may be; a message with neither is
  // refused.
  absl::Status CountSpec() {
    if (messages_++ > 0) return FieldError("spec", "only the first message may carry it");
    return absl::OkStatus();
  }
  absl::Status CountEmpty() const {
    return FieldError("part", "is missing; send the spec, then chunks");
  }

  // `allowed` is false where the spec says that the bytes come from elsewhere.
  absl::Status AddChunk(const std::string& chunk, bool allowed) {
    if (messages_++ == 0)
      return FieldError("chunk", "came before the spec; the first message must carry the spec");
    if (!allowed) return FieldError("chunk", "came although the spec says that no file follows");
    if (chunk.size() > kMaxChunkBytes) {
      return FieldError("chunk",
                        "has " + std::to_string(chunk.size()) + " bytes; at most 1 MiB a message");
    }
    if (file_ == nullptr) {
      BIF_ASSIGN_OR_RETURN(file_, checkpoints_.NewUpload());
    }
    return file_->Append(chunk);
  }

  bool has_spec() const { return messages_ > 0; }
  bool has_file() const { return file_ != nullptr; }
  std::unique_ptr<jobs::Upload> TakeFile() { return std::move(file_); }

 private:
  jobs::Checkpoints& checkpoints_;
  int64_t messages_ = 0;
  std::unique_ptr<jobs::Upload> file_;
};

}  // namespace bif::server
