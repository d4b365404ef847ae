// Writes the backup of a data directory.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "src/storage/backup.h"
#include "src/storage/rocksdb/rocks_stores.h"

namespace bif::storage {

// Copies the directory `root`, whose stores are `rocks`; holds `deletion`, which keeps files from
// being deleted, for as long as it takes to make hard links of all. Durable after OK. A copy that
// failed or was cancelled is removed; one that a crash cut off has the mark of half_made.h, and no
// file BACKUP. Thread-safe; one at a time.
absl::StatusOr<BackupReport> WriteBackup(const std::string& root, RocksStores& rocks,
                                         absl::Mutex& deletion, const BackupOptions& options);

}  // namespace bif::storage
