// Reads a file from its beginning to its end, gzipped or not: what is compressed tells by its first
// bytes. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif::storage {

class InputStream {
 public:
  // NOT_FOUND and PERMISSION_DENIED as the system says.
  static absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path);
  ~InputStream();
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;

  // The next `count` bytes. A file that ends before, or whose compression is damaged, is
  // INVALID_ARGUMENT with the path and the (uncompressed) byte.
  absl::Status Read(char* bytes, size_t count);
  // INVALID_ARGUMENT if anything is left.
  absl::Status ExpectEnd();

  int64_t offset() const { return offset_; }  // of the next byte, uncompressed
  const std::string& path() const { return path_; }

 private:
  InputStream(void* file, std::string path) : file_(file), path_(std::move(path)) {}
  absl::Status Broken();

  void* file_;  // gzFile
  const std::string path_;
  int64_t offset_ = 0;
};

}  // namespace bif::storage
