// The file BACKUP of a backup: which files belong to it, and how long they are. It is written last,
// so that a directory without it is no backup. docs/storage_format.md has the layout. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif::storage {

struct BackupList {
  struct File {
    std::string path;  // relative to the backup
    int64_t bytes = 0;
    friend bool operator==(const File&, const File&) = default;
  };
  std::string time;  // when the copy was made, for people
  std::vector<File> files;
  friend bool operator==(const BackupList&, const BackupList&) = default;

  int64_t bytes() const;  // of all files
};

bool HasBackupList(const std::string& directory);
// Durable after OK.
absl::Status WriteBackupList(const std::string& directory, const BackupList& list);
// FAILED_PRECONDITION if there is no list, DATA_LOSS if it is damaged.
absl::StatusOr<BackupList> ReadBackupList(const std::string& directory);
// DATA_LOSS names the first file that is missing or has another length.
absl::Status CheckBackupFiles(const std::string& directory, const BackupList& list);

}  // namespace bif::storage
