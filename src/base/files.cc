#include "src/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/write_all.h"

namespace bif {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view action, const std::string& path) {
  return absl::Status(CodeOf(error),
                      absl::StrCat("cannot ", absl::string_view(action.data(), action.size()), " ",
                                   path, ": ", std::generic_category().message(error)));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  std::string contents;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "read", path);
    }
    if (got == 0) return contents;
    contents.append(buffer, static_cast<size_t>(got));
  }
}

absl::StatusOr<int64_t> FileSize(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  return static_cast<int64_t>(info.st_size);
}

bool FileExists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

absl::Status MakeDirectories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), "make directory", path);
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove", path);
  return absl::OkStatus();
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return ErrnoStatus(error.value(), "remove", path);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListFilesRecursively(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(path, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    if (entry->is_regular_file(error))
      files.push_back(std::filesystem::path(entry->path()).lexically_relative(path));
  }
  if (error) return ErrnoStatus(error.value(), "list", path);
  std::sort(files.begin(), files.end());
  return files;
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open directory", path);
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "sync directory", path);
  return absl::OkStatus();
}

absl::Status MakeDirectoriesDurably(const std::string& path) {
  BIF_RETURN_IF_ERROR(MakeDirectories(path));
  BIF_ASSIGN_OR_RETURN(std::filesystem::path directory, RealPath(path));
  struct stat info;
  if (::stat(directory.c_str(), &info) != 0) return ErrnoStatus(errno, "look at", directory);
  const dev_t file_system = info.st_dev;
  while (::stat(directory.c_str(), &info) == 0 && info.st_dev == file_system) {
    const absl::Status synced = SyncDirectory(directory);
    if (absl::IsPermissionDenied(synced)) break;
    BIF_RETURN_IF_ERROR(synced);
    if (directory == directory.root_path()) break;
    directory = directory.parent_path();
  }
  return absl::OkStatus();
}

absl::Status PublishFile(const std::string& temporary_path, const std::string& final_path) {
  if (::renameat2(AT_FDCWD, temporary_path.c_str(), AT_FDCWD, final_path.c_str(),
                  RENAME_NOREPLACE) != 0) {
    return ErrnoStatus(errno, "publish", final_path);
  }
  BIF_RETURN_IF_ERROR(SyncDirectory(ParentOf(final_path)));
  return SyncDirectory(ParentOf(temporary_path));
}

absl::Status WriteFileDurably(const std::string& temporary_directory, const std::string& final_path,
                              std::string_view bytes) {
  static std::atomic<uint64_t> counter = 0;
  const std::string temporary_path =
      absl::StrCat(temporary_directory, "/", ::getpid(), "-", counter.fetch_add(1), ".tmp");
  const int fd = ::open(temporary_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "create", temporary_path);
  absl::Cleanup remove_temporary = [&] { ::unlink(temporary_path.c_str()); };
  absl::Status status = WriteAll(fd, bytes, temporary_path);
  if (status.ok() && ::fsync(fd) != 0) status = ErrnoStatus(errno, "sync", temporary_path);
  if (::close(fd) != 0 && status.ok()) status = ErrnoStatus(errno, "close", temporary_path);
  BIF_RETURN_IF_ERROR(status);
  BIF_RETURN_IF_ERROR(PublishFile(temporary_path, final_path));
  std::move(remove_temporary).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FreeDiskBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0)
    return ErrnoStatus(errno, "look at the file system of", path);
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

absl::StatusOr<std::string> RealPath(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return ErrnoStatus(errno, "resolve", path);
  std::string result(resolved);
  std::free(resolved);
  return result;
}

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) return MappedFile(nullptr, 0);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, "map", path);
  return MappedFile(static_cast<const char*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace bif
