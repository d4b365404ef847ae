#include "src/storage/file_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/base/write_all.h"

namespace bif::storage {
namespace {

absl::Status CopyBytes(int from, const std::string& from_path, int to, const std::string& to_path,
                       const CancelToken& cancel) {
  std::vector<char> buffer(1 << 20);
  while (true) {
    if (cancel.cancelled()) return absl::CancelledError("the copy was cancelled");
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "read", from_path);
    }
    if (got == 0) return absl::OkStatus();
    BIF_RETURN_IF_ERROR(WriteAll(to, {buffer.data(), static_cast<size_t>(got)}, to_path));
  }
}

}  // namespace

absl::Status CopyFile(const std::string& from, const std::string& to, const CancelToken& cancel) {
  const int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) return ErrnoStatus(errno, "open", from);
  absl::Cleanup close_source = [source] { ::close(source); };
  struct stat info;
  if (::fstat(source, &info) != 0) return ErrnoStatus(errno, "look at", from);
  const int copy = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (copy < 0) return ErrnoStatus(errno, "create", to);
  absl::Status status = CopyBytes(source, from, copy, to, cancel);
  if (status.ok() && ::fchmod(copy, info.st_mode & 0777) != 0)
    status = ErrnoStatus(errno, "set the permissions of", to);
  if (status.ok() && ::fsync(copy) != 0) status = ErrnoStatus(errno, "sync", to);
  if (::close(copy) != 0 && status.ok()) status = ErrnoStatus(errno, "close", to);
  if (!status.ok()) ::unlink(to.c_str());
  return status;
}

absl::StatusOr<bool> LinkFile(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  // EPERM: no hard links here, or none to files of others. EMLINK: the file has too many names.
  if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK) return false;
  return ErrnoStatus(errno, "link", to);
}

absl::Status SyncFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  return ::fsync(fd) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "sync", path);
}

}  // namespace bif::storage
