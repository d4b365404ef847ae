// Files, with what a crash may do to them spelled out. All functions are thread-safe; messages name
// the path and errno's words. A missing file is NOT_FOUND, a full disk RESOURCE_EXHAUSTED, no right
// PERMISSION_DENIED, the rest INTERNAL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif {

// The status for an errno, e.g. ErrnoStatus(errno, "open", path).
absl::Status ErrnoStatus(int error, std::string_view action, const std::string& path);

absl::StatusOr<std::string> ReadFile(const std::string& path);
absl::StatusOr<int64_t> FileSize(const std::string& path);
bool FileExists(const std::string& path);
absl::Status MakeDirectories(const std::string& path);  // like mkdir -p
absl::Status RemoveFile(const std::string& path);       // a missing file is OK
absl::Status RemoveTree(const std::string& path);       // like rm -rf
// Paths of regular files below `path`, relative to it, sorted.
absl::StatusOr<std::vector<std::string>> ListFilesRecursively(const std::string& path);

// After OK, entries made, renamed or removed in the directory survive power loss.
absl::Status SyncDirectory(const std::string& path);

// Makes a directory and those above it, and syncs them all up to the root of their file system, or
// to the first one that this process may not read: whoever made that one has to see to it. After OK
// the directory survives power loss, however an earlier process that made part of it ended.
absl::Status MakeDirectoriesDurably(const std::string& path);

// Publishes a complete, already synced file under its final name without replacing: ALREADY_EXISTS
// if the name is taken. Both directories are synced.
absl::Status PublishFile(const std::string& temporary_path, const std::string& final_path);

// Writes a file so that after OK it survives power loss, and that nobody ever sees part of it:
// temporary name in `temporary_directory` (same file system), sync, PublishFile.
absl::Status WriteFileDurably(const std::string& temporary_directory, const std::string& final_path,
                              std::string_view bytes);

absl::StatusOr<int64_t> FreeDiskBytes(const std::string& path);

// The canonical absolute path, links resolved.
absl::StatusOr<std::string> RealPath(const std::string& path);

// A file mapped for reading. The bytes live as long as the object. If the file is cut meanwhile,
// reading raises SIGBUS: map only files that nobody rewrites. Movable.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}
  const char* data_;
  size_t size_;
};

}  // namespace bif
