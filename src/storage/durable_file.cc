#include "src/storage/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {

absl::StatusOr<std::unique_ptr<DurableFile>> DurableFile::Create(
    const std::string& temporary_directory) {
  static std::atomic<uint64_t> counter = 0;
  std::string path =
      absl::StrCat(temporary_directory, "/", ::getpid(), "-", counter.fetch_add(1), ".part");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "create", path);
  return std::unique_ptr<DurableFile>(new DurableFile(fd, std::move(path)));
}

DurableFile::~DurableFile() {
  ::close(fd_);
  if (!published_) ::unlink(path_.c_str());
}

absl::Status DurableFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "write", path_);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
    bytes_ += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::Status DurableFile::Sync() {
  if (::fsync(fd_) != 0) return ErrnoStatus(errno, "sync", path_);
  return absl::OkStatus();
}

absl::Status DurableFile::Publish(const std::string& final_path) {
  BIF_RETURN_IF_ERROR(Sync());
  BIF_RETURN_IF_ERROR(PublishFile(path_, final_path));
  published_ = true;
  return absl::OkStatus();
}

}  // namespace bif::storage
