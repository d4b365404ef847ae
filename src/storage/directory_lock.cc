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

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/LOCK");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  auto lock = std::unique_ptr<DirectoryLock>(new DirectoryLock(fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
    const absl::StatusOr<std::string> holder = ReadFile(path);
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          directory, " is in use by process ",
                          holder.ok() ? absl::StripAsciiWhitespace(*holder) : "unknown",
                          ": stop that one, or choose another data directory")),
                      "DATA_DIRECTORY_IN_USE");
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  // Only a hint for the message above: the lock is the kernel's.
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0)
    return ErrnoStatus(errno, "write", path);
  return lock;
}

DirectoryLock::~DirectoryLock() { ::close(fd_); }

}  // namespace bif::storage
