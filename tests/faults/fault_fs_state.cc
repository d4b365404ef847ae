#include "tests/faults/fault_fs_state.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bif::faults {
namespace {

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "libbif_fault_fs: %s\n", what);
  std::abort();
}

bool TakesSpace(Call call) {
  return call == Call::kWrite || call == Call::kName || call == Call::kMakeDirectory ||
         call == Call::kResize;
}

}  // namespace

State& State::Get() {
  static State* const state = new State();  // never destroyed: files are closed until the very end
  return *state;
}

State::State() {
  const char* directory = std::getenv(kDirectoryVariable);
  if (directory == nullptr) return;
  directory_ = directory;
  exempt_path_ = directory_ + "/" + kAcknowledgements;
  if (const char* path = std::getenv(kJournalVariable)) {
    // System calls, because the library's own wrappers would come back to here.
    journal_ = static_cast<int>(
        ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (journal_ < 0) Die("cannot open the journal");
  }
  if (const char* fault = std::getenv(kFaultVariable)) {
    char call[16], how[16];
    unsigned long long at = 0;
    if (std::sscanf(fault, "%15[^:]:%llu:%d:%15s", call, &at, &fault_error_, how) != 4)
      Die("the fault is to be CALL:NTH:ERRNO:HOW");
    fault_at_ = at;
    fault_is_short_ = std::strcmp(how, "short") == 0;
    disk_fills_ = std::strcmp(how, "full") == 0;
    size_t i = 0;
    while (i < std::size(kCallNames) && std::strcmp(call, kCallNames[i]) != 0) ++i;
    if (i == std::size(kCallNames)) Die("no such kind of call");
    fault_call_ = static_cast<Call>(i);
  }
}

bool State::Watches(std::string_view path) const {
  return !directory_.empty() && path.starts_with(directory_) &&
         (path.size() == directory_.size() || path[directory_.size()] == '/');
}

bool State::Watches(int fd) const { return fd >= 0 && fd < kMaxFds && fds_[fd] != kUnwatched; }

void State::Remember(int fd, std::string_view path) {
  if (fd >= kMaxFds) Die("more files are open than it can watch");
  fds_[fd] = path == exempt_path_ ? kExempt : kWatched;
}

void State::Forget(int fd) {
  if (fd >= 0 && fd < kMaxFds) fds_[fd] = kUnwatched;
}

Verdict State::Judge(Call call, int fd) {
  return Watches(fd) && fds_[fd] == kWatched ? JudgeWatched(call) : Verdict();
}

Verdict State::Judge(Call call, std::string_view path) {
  return Watches(path) && path != exempt_path_ ? JudgeWatched(call) : Verdict();
}

Verdict State::JudgeWatched(Call call) {
  if (disk_is_full_ && TakesSpace(call)) return {.error = ENOSPC};
  if (call != fault_call_ || ++calls_ != fault_at_) return {};
  RecordPaths(EventKind::kFault, kCallNames[static_cast<size_t>(call)]);
  disk_is_full_ = disk_fills_;
  if (call == Call::kWrite && (fault_is_short_ || disk_fills_))
    return {.error = fault_is_short_ ? 0 : ENOSPC, .half = true};
  return {.error = fault_error_};
}

void State::Record(EventKind kind, int fd, uint64_t offset, std::string_view data) {
  Append({kind, 0, 0, fd, offset, data.size()}, {}, data);
}

void State::RecordPaths(EventKind kind, std::string_view path, std::string_view second, int fd,
                        uint8_t flags) {
  Append({kind, flags, static_cast<uint16_t>(path.size()), fd, 0, second.size()}, path, second);
}

void State::Append(EventHeader header, std::string_view path, std::string_view data) {
  if (journal_ < 0) return;
  const int kept_errno = errno;
  iovec pieces[] = {{&header, sizeof(header)},
                    {const_cast<char*>(path.data()), path.size()},
                    {const_cast<char*>(data.data()), data.size()}};
  const size_t bytes = sizeof(header) + path.size() + data.size();
  if (::syscall(SYS_writev, journal_, pieces, 3) != static_cast<long>(bytes))
    Die("cannot write the journal");
  errno = kept_errno;
}

std::string Absolute(int directory_fd, const char* path) {
  if (path[0] == '/') return path;
  char buffer[PATH_MAX];
  if (directory_fd == AT_FDCWD) {
    if (::getcwd(buffer, sizeof(buffer)) == nullptr) return path;
    return std::string(buffer) + "/" + path;
  }
  const std::string link = "/proc/self/fd/" + std::to_string(directory_fd);
  const ssize_t length = ::readlink(link.c_str(), buffer, sizeof(buffer));
  if (length < 0) return path;
  return std::string(buffer, static_cast<size_t>(length)) + "/" + path;
}

}  // namespace bif::faults
