// What the wrapped calls of fault_fs.cc share: which files are watched, which call fails, and the
// journal. For use within libbif_fault_fs.so only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "tests/faults/fault_fs_protocol.h"

namespace bif::faults {

// What is to become of a call.
struct Verdict {
  int error = 0;      // not 0: fail with it
  bool half = false;  // a write: do half of it
  bool fails() const { return error != 0 && !half; }
};

class State {
 public:
  static State& Get();

  // Held over a call that changes something and its event, so that the journal's order is the order
  // in which the calls took effect.
  std::mutex& mutex() { return mutex_; }

  bool Watches(std::string_view absolute_path) const;
  bool Watches(int fd) const;
  // An fd that was opened below the directory, or one that was closed.
  void Remember(int fd, std::string_view absolute_path);
  void Forget(int fd);

  // Counts the call, and says whether it is the one to fail. With the mutex held.
  Verdict Judge(Call call, int fd);
  Verdict Judge(Call call, std::string_view path);

  // With the mutex held.
  void Record(EventKind kind, int fd, uint64_t offset = 0, std::string_view data = {});
  void RecordPaths(EventKind kind, std::string_view path, std::string_view second = {}, int fd = -1,
                   uint8_t flags = 0);

 private:
  State();
  Verdict JudgeWatched(Call call);
  void Append(EventHeader header, std::string_view path, std::string_view data);

  static constexpr int kMaxFds = 1 << 16;
  enum Kept : uint8_t { kUnwatched, kWatched, kExempt };

  std::mutex mutex_;
  std::string directory_;
  std::string exempt_path_;
  int journal_ = -1;
  Kept fds_[kMaxFds] = {};

  Call fault_call_ = Call::kWrite;
  uint64_t fault_at_ = 0;  // 0: never
  int fault_error_ = 0;
  bool fault_is_short_ = false;
  bool disk_fills_ = false;
  bool disk_is_full_ = false;
  uint64_t calls_ = 0;
};

// The absolute path of `path` as the calls ending in -at understand it.
std::string Absolute(int directory_fd, const char* path);

}  // namespace bif::faults
