// RocksDB as this folder uses it: one database, three column families, and the settings that keep
// its promises.
//
// Thread-safe.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "src/storage/rocksdb/rocks_stores.h"

namespace bif::storage {

// Above this a write goes around the log, as a file of its own; RocksDB handles larger batches
// badly.
inline constexpr size_t kMaxBatchBytes = 4 << 20;

inline rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Corruption is DATA_LOSS, a full disk RESOURCE_EXHAUSTED, what may be tried again UNAVAILABLE, the
// rest INTERNAL.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing);

class Database {
 public:
  static absl::StatusOr<std::unique_ptr<Database>> Open(const RocksOptions& options);
  // Changes nothing on disk, and refuses to write. NOT_FOUND if there is no database.
  static absl::StatusOr<std::unique_ptr<Database>> OpenForReading(const RocksOptions& options);
  ~Database();

  rocksdb::DB& db() { return *db_; }
  // What the database keeps for itself (KeepSomethingToFlush).
  rocksdb::ColumnFamilyHandle* own() { return families_[0]; }
  rocksdb::ColumnFamilyHandle* catalog() { return families_[1]; }
  rocksdb::ColumnFamilyHandle* samples() { return families_[2]; }
  rocksdb::ColumnFamilyHandle* traces() { return families_[3]; }

  // Applies a batch. All column families share one log, and syncing it syncs what was written to it
  // before: data written with sync = false is durable as soon as a later write with sync = true has
  // returned. RESOURCE_EXHAUSTED while the disk is full; once there is room, writing goes on.
  absl::Status Write(rocksdb::WriteBatch& batch, bool sync, std::string_view doing);

  // Adds a finished file of sorted keys, which begin with `first` and end with `last`, to a column
  // family; durable on return. The file is taken over.
  absl::Status Ingest(rocksdb::ColumnFamilyHandle* family, const std::string& path,
                      const std::string& first, const std::string& last);
  std::unique_ptr<rocksdb::SstFileWriter> NewTableFile(rocksdb::ColumnFamilyHandle* family);
  std::string NewTemporaryPath();

  // An openable copy of the database as it is at one moment, all column families together: tables
  // as hard links, the rest copied. `path` must not be there, and lie on the same file system.
  absl::Status Checkpoint(const std::string& path);

  // Brings everything that is written into tables, and so finishes the log. OK where it was opened
  // for reading, though nothing is done.
  absl::Status FinishLog();

  // Deletes keys [begin, end) and gives their disk space back before it returns. Durable.
  absl::Status EraseRange(rocksdb::ColumnFamilyHandle* family, const std::string& begin,
                          const std::string& end);

  // Drops what was overwritten or deleted of keys [begin, end): from the tables, and from the log,
  // which is finished. UNAVAILABLE if `cancelled` was set.
  absl::Status CompactRange(rocksdb::ColumnFamilyHandle* family, const std::string& begin,
                            const std::string& end, std::atomic<bool>* cancelled);

 private:
  Database() = default;
  static absl::StatusOr<std::unique_ptr<Database>> OpenAs(const RocksOptions& options,
                                                          bool read_only);

  // Ends the read-only mode that a failed write has left, if its cause is gone.
  rocksdb::Status Recover() ABSL_EXCLUSIVE_LOCKS_REQUIRED(recovering_);

  // Resuming after a failed write of the log begins a new log only if there is something to flush.
  // So there is, always: a record that is in no log.
  void KeepSomethingToFlush();

  bool read_only_ = false;
  std::unique_ptr<rocksdb::Env> env_;  // outlives the database, as does what its listener sets
  std::atomic<bool> nothing_to_flush_ = true;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::string temporary_path_;
  absl::Mutex recovering_;  // shared by writes, so that none comes between the steps of Recover
  std::atomic<uint64_t> temporary_files_ = 0;
};

}  // namespace bif::storage
