#include "src/storage/import/input_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {
gzFile File(void* file) { return static_cast<gzFile>(file); }
}  // namespace

absl::StatusOr<std::unique_ptr<InputStream>> InputStream::Open(const std::string& path) {
  const int fd = ::open(path.c_str(),
                        O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not hold the daemon up
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const gzFile file = ::gzdopen(fd, "rb");  // reads what is not compressed as it is
  if (file == nullptr) {
    ::close(fd);
    return absl::ResourceExhaustedError(absl::StrCat("no memory to read ", path));
  }
  ::gzbuffer(file, 256 << 10);
  return std::unique_ptr<InputStream>(new InputStream(file, path));
}

InputStream::~InputStream() { ::gzclose(File(file_)); }

absl::Status InputStream::Broken() {
  int code = Z_OK;
  const char* message = ::gzerror(File(file_), &code);
  if (code == Z_ERRNO) return ErrnoStatus(errno, "read", path_);
  if (code == Z_OK || code == Z_BUF_ERROR || code == Z_STREAM_END) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": the file is cut off at byte ", offset_));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": damaged at byte ", offset_, ": ", message));
}

absl::Status InputStream::Read(char* bytes, size_t count) {
  while (count > 0) {
    const int got =
        ::gzread(File(file_), bytes, static_cast<unsigned>(std::min<size_t>(count, 1 << 30)));
    if (got <= 0) return Broken();
    bytes += got;
    count -= static_cast<size_t>(got);
    offset_ += got;
  }
  return absl::OkStatus();
}

absl::Status InputStream::ExpectEnd() {
  char byte;
  const int got = ::gzread(File(file_), &byte, 1);
  int code = Z_OK;
  ::gzerror(File(file_), &code);
  // A stream whose trailer is missing or wrong tells only now.
  if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) return Broken();
  if (got == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": bytes after the last row, at byte ", offset_));
}

}  // namespace bif::storage
