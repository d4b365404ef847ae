// Makes a data directory from a backup. Everything is copied, so that the two share nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "src/storage/check.h"

namespace bif::storage {

struct RestoreOptions {
  std::string backup;
  std::string data_directory;  // missing, or an empty folder
  bool keep_damaged = false;   // where the backup is damaged, keep what was copied all the same
  CancelToken cancel;
  std::function<void(const Damage&)> on_damage;                            // may be empty
  std::function<void(int64_t bytes_done, int64_t bytes_all)> on_progress;  // may be empty
};

struct RestoreReport {
  std::string backup_time;
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t damaged = 0;  // 0, unless damage was to be kept
};

// Checks that the backup is complete, copies it, and checks every byte of the copy as
// src/storage/fsck.h does. Until that has ended well the data directory has the mark of
// half_made.h, and no daemon starts on it. On failure nothing stays behind.
//
// FAILED_PRECONDITION if `backup` is no complete backup or the data directory is not empty,
// DATA_LOSS if the backup is damaged.
absl::StatusOr<RestoreReport> RestoreBackup(const RestoreOptions& options);

}  // namespace bif::storage
