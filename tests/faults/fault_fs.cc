// libbif_fault_fs.so, for LD_PRELOAD: libc's calls on files, wrapped. See fault_fs_protocol.h.
//
// What is wrapped is what src/, RocksDB and the standard library call (`nm -D` tells). A call that
// slipped through would make the journal differ from the directory, which every test of it checks.
//
// No sync reaches the real disk: the disk that loses power is a model, and the real one would only
// take time.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <optional>

#include "tests/faults/fault_fs_state.h"

namespace bif::faults {
namespace {

// The call that this library hides.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}
#define BIF_NEXT(name) static auto* const next = Next<decltype(::name)>(#name)

int Fail(const Verdict& verdict) {
  errno = verdict.error;
  return -1;
}

// Opens a file or directory, below the watched directory or elsewhere.
template <typename Open>
int WrapOpen(const std::string& path, int flags, Open open) {
  State& state = State::Get();
  if (!state.Watches(path)) return open();
  std::lock_guard lock(state.mutex());
  if (const Verdict verdict = state.Judge(Call::kOpen, path); verdict.fails()) return Fail(verdict);
  const bool made = (flags & O_CREAT) != 0 && ::access(path.c_str(), F_OK) != 0;
  const int fd = open();
  if (fd < 0) return fd;
  state.Remember(fd, path);
  const bool emptied = (flags & O_TRUNC) != 0;
  state.RecordPaths(EventKind::kOpen, path, {}, fd,
                    static_cast<uint8_t>((made ? kMade : 0) | (emptied ? kEmptied : 0)));
  return fd;
}

// Writes to a file, where it stands or at an offset. `write` is to write the first `bytes` of
// `data`.
template <typename Write>
ssize_t WrapWrite(int fd, std::optional<off_t> offset, const char* data, size_t bytes,
                  Write write) {
  State& state = State::Get();
  if (!state.Watches(fd)) return write(bytes);
  std::lock_guard lock(state.mutex());
  const Verdict verdict = state.Judge(Call::kWrite, fd);
  if (verdict.fails()) return Fail(verdict);
  if (verdict.half && bytes > 1) bytes /= 2;
  const ssize_t written = write(bytes);
  if (written <= 0) return written;
  // Read after the write, since with O_APPEND it is known only then.
  const off_t begin = offset ? *offset : ::lseek(fd, 0, SEEK_CUR) - written;
  state.Record(EventKind::kWrite, fd, static_cast<uint64_t>(begin),
               {data, static_cast<size_t>(written)});
  return written;
}

template <typename Sync>
int WrapSync(int fd, bool makes_durable, Sync sync) {
  State& state = State::Get();
  if (!state.Watches(fd)) return sync();
  std::lock_guard lock(state.mutex());
  if (const Verdict verdict = state.Judge(Call::kSync, fd); verdict.fails()) {
    // Linux marks the pages as clean after a failed sync: the next one succeeds without them.
    state.Record(EventKind::kFailedSync, fd);
    return Fail(verdict);
  }
  if (makes_durable) state.Record(EventKind::kSync, fd);
  return 0;
}

// Changes names. `second` is empty where there is one path.
template <typename Change>
int WrapNames(Call call, EventKind kind, const std::string& path, const std::string& second,
              Change change) {
  State& state = State::Get();
  if (!state.Watches(path) && !state.Watches(second)) return change();
  std::lock_guard lock(state.mutex());
  const Verdict verdict = state.Judge(call, state.Watches(path) ? path : second);
  if (verdict.fails()) return Fail(verdict);
  const int result = change();
  if (result == 0) state.RecordPaths(kind, path, second);
  return result;
}

template <typename Resize>
int WrapResize(int fd, std::optional<off_t> bytes, Resize resize) {
  State& state = State::Get();
  if (!state.Watches(fd)) return resize();
  std::lock_guard lock(state.mutex());
  if (const Verdict verdict = state.Judge(Call::kResize, fd); verdict.fails()) return Fail(verdict);
  const int result = resize();
  if (result == 0 && bytes) state.Record(EventKind::kResize, fd, static_cast<uint64_t>(*bytes));
  return result;
}

template <typename Read>
ssize_t WrapRead(int fd, Read read) {
  State& state = State::Get();
  if (!state.Watches(fd)) return read();
  {
    std::lock_guard lock(state.mutex());
    if (const Verdict verdict = state.Judge(Call::kRead, fd); verdict.fails()) return Fail(verdict);
  }
  return read();
}

// The size that a file has after `bytes` from `offset` on were allocated; none if that changes
// nothing.
std::optional<off_t> SizeAfterAllocation(int fd, int mode, off_t offset, off_t bytes) {
  struct stat info;
  if ((mode & FALLOC_FL_KEEP_SIZE) != 0 || ::fstat(fd, &info) != 0) return std::nullopt;
  return std::max(info.st_size, offset + bytes);
}

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace
}  // namespace bif::faults

using namespace bif::faults;  // NOLINT: all below are libc's names

extern "C" {

int open(const char* path, int flags, ...) {
  BIF_NEXT(open);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return WrapOpen(Absolute(AT_FDCWD, path), flags, [&] { return next(path, flags, mode); });
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return open(path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  BIF_NEXT(openat);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return WrapOpen(Absolute(directory, path), flags,
                  [&] { return next(directory, path, flags, mode); });
}

// For reading only: stdio writes behind the wrappers' back.
FILE* fopen(const char* path, const char* mode) {
  BIF_NEXT(fopen);
  State& state = State::Get();
  const std::string absolute = Absolute(AT_FDCWD, path);
  if (!state.Watches(absolute) || mode[0] != 'r') return next(path, mode);
  std::lock_guard lock(state.mutex());
  if (const Verdict verdict = state.Judge(Call::kOpen, absolute); verdict.fails()) {
    errno = verdict.error;
    return nullptr;
  }
  FILE* const file = next(path, mode);
  if (file == nullptr) return nullptr;
  state.Remember(::fileno(file), absolute);
  state.RecordPaths(EventKind::kOpen, absolute, {}, ::fileno(file));
  return file;
}
FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }

int fclose(FILE* file) {
  BIF_NEXT(fclose);
  State::Get().Forget(::fileno(file));
  return next(file);
}

int close(int fd) {
  BIF_NEXT(close);
  State::Get().Forget(fd);
  return next(fd);
}

ssize_t write(int fd, const void* data, size_t bytes) {
  BIF_NEXT(write);
  return WrapWrite(fd, std::nullopt, static_cast<const char*>(data), bytes,
                   [&](size_t some) { return next(fd, data, some); });
}

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  BIF_NEXT(pwrite);
  return WrapWrite(fd, offset, static_cast<const char*>(data), bytes,
                   [&](size_t some) { return next(fd, data, some, offset); });
}
ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t offset) {
  return pwrite(fd, data, bytes, offset);
}

// Only the first piece: a short write, which callers have to expect.
ssize_t writev(int fd, const iovec* pieces, int count) {
  BIF_NEXT(writev);
  if (!State::Get().Watches(fd) || count == 0) return next(fd, pieces, count);
  return write(fd, pieces[0].iov_base, pieces[0].iov_len);
}

int fsync(int fd) {
  BIF_NEXT(fsync);
  return WrapSync(fd, true, [&] { return next(fd); });
}
int fdatasync(int fd) {
  BIF_NEXT(fdatasync);
  return WrapSync(fd, true, [&] { return next(fd); });
}
// Starts writing and waits for it, but syncs neither the file's size nor the disk's own cache.
int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
  BIF_NEXT(sync_file_range);
  // RocksDB asks so whether the call is known here. Nothing is written, so no disk can fail it.
  if (flags == 0) return next(fd, offset, bytes, flags);
  return WrapSync(fd, false, [&] { return next(fd, offset, bytes, flags); });
}

int rename(const char* from, const char* to) {
  BIF_NEXT(rename);
  return WrapNames(Call::kName, EventKind::kRename, Absolute(AT_FDCWD, from),
                   Absolute(AT_FDCWD, to), [&] { return next(from, to); });
}
int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) {
  BIF_NEXT(renameat2);
  return WrapNames(Call::kName, EventKind::kRename, Absolute(from_directory, from),
                   Absolute(to_directory, to),
                   [&] { return next(from_directory, from, to_directory, to, flags); });
}
int link(const char* from, const char* to) {
  BIF_NEXT(link);
  return WrapNames(Call::kName, EventKind::kLink, Absolute(AT_FDCWD, from), Absolute(AT_FDCWD, to),
                   [&] { return next(from, to); });
}
int unlink(const char* path) {
  BIF_NEXT(unlink);
  return WrapNames(Call::kRemove, EventKind::kUnlink, Absolute(AT_FDCWD, path), "",
                   [&] { return next(path); });
}
int rmdir(const char* path) {
  BIF_NEXT(rmdir);
  return WrapNames(Call::kRemove, EventKind::kRemoveDirectory, Absolute(AT_FDCWD, path), "",
                   [&] { return next(path); });
}
int unlinkat(int directory, const char* path, int flags) {
  BIF_NEXT(unlinkat);
  const bool is_directory = (flags & AT_REMOVEDIR) != 0;
  return WrapNames(Call::kRemove, is_directory ? EventKind::kRemoveDirectory : EventKind::kUnlink,
                   Absolute(directory, path), "", [&] { return next(directory, path, flags); });
}
int remove(const char* path) {
  struct stat info;
  if (::lstat(path, &info) != 0) return -1;
  return S_ISDIR(info.st_mode) ? rmdir(path) : unlink(path);
}
int mkdir(const char* path, mode_t mode) {
  BIF_NEXT(mkdir);
  return WrapNames(Call::kMakeDirectory, EventKind::kMakeDirectory, Absolute(AT_FDCWD, path), "",
                   [&] { return next(path, mode); });
}

int ftruncate(int fd, off_t bytes) {
  BIF_NEXT(ftruncate);
  return WrapResize(fd, bytes, [&] { return next(fd, bytes); });
}
int ftruncate64(int fd, off64_t bytes) { return ftruncate(fd, bytes); }
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  BIF_NEXT(fallocate);
  // Space that is set aside beyond the end of a file changes nothing that can be seen, and takes a
  // file system in memory milliseconds.
  const bool unseen = (mode & FALLOC_FL_KEEP_SIZE) != 0 && State::Get().Watches(fd);
  return WrapResize(fd, SizeAfterAllocation(fd, mode, offset, bytes),
                    [&] { return unseen ? 0 : next(fd, mode, offset, bytes); });
}
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
  return fallocate(fd, mode, offset, bytes);
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  BIF_NEXT(mmap);
  if ((flags & MAP_ANONYMOUS) == 0 && State::Get().Watches(fd)) {
    State& state = State::Get();
    std::lock_guard lock(state.mutex());
    if (const Verdict verdict = state.Judge(Call::kMap, fd); verdict.fails()) {
      errno = verdict.error;
      return MAP_FAILED;
    }
  }
  return next(address, bytes, protection, flags, fd, offset);
}
void* mmap64(void* address, size_t bytes, int protection, int flags, int fd, off64_t offset) {
  return mmap(address, bytes, protection, flags, fd, offset);
}

ssize_t read(int fd, void* data, size_t bytes) {
  BIF_NEXT(read);
  return WrapRead(fd, [&] { return next(fd, data, bytes); });
}
ssize_t pread(int fd, void* data, size_t bytes, off_t offset) {
  BIF_NEXT(pread);
  return WrapRead(fd, [&] { return next(fd, data, bytes, offset); });
}
ssize_t pread64(int fd, void* data, size_t bytes, off64_t offset) {
  return pread(fd, data, bytes, offset);
}
// RocksDB reads its log and manifest so.
size_t fread_unlocked(void* data, size_t size, size_t count, FILE* file) {
  BIF_NEXT(fread_unlocked);
  State& state = State::Get();
  if (state.Watches(::fileno(file))) {
    std::lock_guard lock(state.mutex());
    if (const Verdict verdict = state.Judge(Call::kRead, ::fileno(file)); verdict.fails()) {
      errno = verdict.error;
      file->_flags |= _IO_ERR_SEEN;  // as ferror() is to find it
      return 0;
    }
  }
  return next(data, size, count, file);
}

}  // extern "C"
