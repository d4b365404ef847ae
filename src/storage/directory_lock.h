// One daemon a data directory. Held as long as the object lives, and given back by the kernel
// however the process ends.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace bif::storage {

class DirectoryLock {
 public:
  // Takes <directory>/LOCK. FAILED_PRECONDITION names the directory and the process that holds it.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& directory);
  // The same for who only reads, and writes not even a lock file: where there is none, nobody can
  // hold it, and the result holds nothing.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> TakeForReading(
      const std::string& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  const int fd_;  // -1: nothing is held
};

}  // namespace bif::storage
