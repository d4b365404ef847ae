#include "src/storage/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

std::string PathOf(const std::string& directory) { return absl::StrCat(directory, "/LOCK"); }

absl::Status Lock(int fd, const std::string& directory) {
  const std::string path = PathOf(directory);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
  const absl::StatusOr<std::string> holder = ReadFile(path);
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat(directory, " is in use by process ",
                                     holder.ok() ? absl::StripAsciiWhitespace(*holder) : "unknown",
                                     ": stop that one, or choose another data directory")),
                    "DATA_DIRECTORY_IN_USE");
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& directory) {
  const std::string path = PathOf(directory);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  auto lock = std::unique_ptr<DirectoryLock>(new DirectoryLock(fd));
  BIF_RETURN_IF_ERROR(Lock(fd, directory));
  const std::string pid = absl::StrCat(::getpid(), "\n");
  // Only a hint for the message above: the lock is the kernel's.
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0)
    return ErrnoStatus(errno, "write", path);
  return lock;
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::TakeForReading(
    const std::string& directory) {
  const int fd = ::open(PathOf(directory).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT) return ErrnoStatus(errno, "open", PathOf(directory));
  auto lock = std::unique_ptr<DirectoryLock>(new DirectoryLock(fd));
  if (fd >= 0) BIF_RETURN_IF_ERROR(Lock(fd, directory));
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace bif::storage
