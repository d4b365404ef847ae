// A file being written under a temporary name, piece by piece, until it is published under its
// final one. Dropped before that, it leaves nothing behind; after a crash the start-up sweep
// removes it. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif::storage {

class DurableFile {
 public:
  // A new, empty file in `temporary_directory`.
  static absl::StatusOr<std::unique_ptr<DurableFile>> Create(
      const std::string& temporary_directory);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  // Written through to the operating system at once.
  absl::Status Append(std::string_view bytes);
  // After OK, what was appended survives power loss, still under the temporary name.
  absl::Status Sync();
  // Syncs, and renames without replacing: ALREADY_EXISTS if the name is taken, and Publish may be
  // tried again. Durable after OK.
  absl::Status Publish(const std::string& final_path);

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

 private:
  DurableFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  int fd_;
  const std::string path_;
  uint64_t bytes_ = 0;
  bool published_ = false;
};

}  // namespace bif::storage
