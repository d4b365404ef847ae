#include "src/storage/rocksdb/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/rocksdb/log_check.h"

namespace bif::storage {
namespace {

// Left free for what RocksDB writes by itself. So little that whoever wants to delete something on
// a nearly full disk still can.
constexpr int64_t kSpareDiskBytes = 4 << 20;

const char* const kFamilies[] = {"default", "catalog", "samples", "traces"};

// RocksDB's log lines, handed on. Its default logger writes a LOG file, and dies with the process
// when the disk is full.
class CallbackLogger : public rocksdb::Logger {
 public:
  explicit CallbackLogger(std::function<void(std::string_view)> log)
      : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL), log_(std::move(log)) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[1024];
    const int length = std::vsnprintf(line, sizeof(line), format, arguments);
    if (length > 0) log_({line, std::min(sizeof(line) - 1, static_cast<size_t>(length))});
  }

 private:
  const std::function<void(std::string_view)> log_;
};

// Database::Write recovers from errors, with a new log. RocksDB on its own would go on with the
// old.
class NoRecoveryOfItsOwn : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

// Tells when what is in memory of the default family goes into a table.
class SealedMemtables : public rocksdb::EventListener {
 public:
  explicit SealedMemtables(std::atomic<bool>& sealed) : sealed_(sealed) {}
  void OnMemTableSealed(const rocksdb::MemTableInfo& info) override {
    if (info.cf_name == kFamilies[0]) sealed_ = true;
  }

 private:
  std::atomic<bool>& sealed_;
};

// Keeps the files of failed ingestions. Where an ingestion fails because the manifest could not be
// synced, the manifest may name the new file all the same; RocksDB deletes it, and from then on
// cannot open the database. A file that the manifest does not name goes at the next start.
class KeepIngestedFiles : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "bif.KeepIngestedFiles"; }
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (is_ingesting) return rocksdb::IOStatus::OK();
    return FileSystemWrapper::DeleteFile(path, options, debug);
  }
  static thread_local bool is_ingesting;  // this thread
};
thread_local bool KeepIngestedFiles::is_ingesting = false;

rocksdb::BlockBasedTableOptions TableOptions(const std::shared_ptr<rocksdb::Cache>& cache,
                                             size_t block_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = block_bytes;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  // Indexes and filters live in the cache too: memory_bytes is then the one bound.
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return table;
}

rocksdb::ColumnFamilyOptions FamilyOptions(const std::shared_ptr<rocksdb::Cache>& cache,
                                           size_t block_bytes, rocksdb::CompressionType compression,
                                           bool filter) {
  rocksdb::ColumnFamilyOptions family;
  rocksdb::BlockBasedTableOptions table = TableOptions(cache, block_bytes);
  if (filter) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.compression = compression;
  family.compression_opts.level = 1;
  family.write_buffer_size = 16 << 20;
  return family;
}

rocksdb::DBOptions GlobalOptions(const RocksOptions& options, rocksdb::Env* env,
                                 const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions global;
  // What is in no log is nobody's (Database::KeepSomethingToFlush). By default it would be flushed
  // when the database is closed, and everything else with it.
  global.avoid_flush_during_shutdown = true;
  global.env = env;
  global.create_if_missing = true;
  global.create_missing_column_families = true;
  global.info_log = std::make_shared<CallbackLogger>(options.log);
  // A torn last record is what a crash leaves of an unacknowledged commit. Anything else that does
  // not read well in the log is damage: opening fails. (The default mode drops acknowledged commits
  // behind a flipped bit and says nothing.)
  global.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  global.track_and_verify_wals_in_manifest = true;
  global.paranoid_checks = true;
  global.max_background_jobs = 2;
  global.max_total_wal_size = 64 << 20;
  global.bytes_per_sync = 1 << 20;
  // Write buffers are charged to the cache: one number bounds both.
  const size_t buffers = std::max<size_t>(16 << 20, static_cast<size_t>(options.memory_bytes) / 2);
  global.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(buffers, cache);
  global.max_open_files = 512;
  global.max_bgerror_resume_count = 0;
  global.listeners.push_back(std::make_shared<NoRecoveryOfItsOwn>());
  return global;
}

// A newer build may have added column families; opening without them would fail with words that
// help nobody.
absl::Status RefuseUnknownFamilies(const RocksOptions& options) {
  std::vector<std::string> present;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies({}, options.path, &present);
  if (!listed.ok()) return absl::OkStatus();  // not made yet, or damaged: opening will tell
  for (const std::string& name : present) {
    if (std::find(std::begin(kFamilies), std::end(kFamilies), name) == std::end(kFamilies)) {
      return absl::FailedPreconditionError(
          absl::StrCat(options.path, " holds a column family '", name,
                       "' that this build does not know: a newer build made it, use that one"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  absl::StatusCode code = absl::StatusCode::kInternal;
  if (status.IsCorruption()) code = absl::StatusCode::kDataLoss;
  if (status.IsNotFound()) code = absl::StatusCode::kNotFound;
  if (status.IsNoSpace() || status.IsMemoryLimit()) code = absl::StatusCode::kResourceExhausted;
  if (status.IsBusy() || status.IsTryAgain() || status.IsTimedOut() || status.IsIncomplete()) {
    code = absl::StatusCode::kUnavailable;
  }
  return absl::Status(
      code, absl::StrCat(absl::string_view(doing.data(), doing.size()), ": ", status.ToString()));
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const RocksOptions& options) {
  BIF_RETURN_IF_ERROR(MakeDirectories(options.path));
  BIF_RETURN_IF_ERROR(CheckLogs(options.path));
  return OpenAs(options, /*read_only=*/false);
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenForReading(const RocksOptions& options) {
  if (!FileExists(absl::StrCat(options.path, "/CURRENT")))
    return absl::NotFoundError(absl::StrCat(options.path, " holds no database"));
  BIF_RETURN_IF_ERROR(CheckLogs(options.path));
  return OpenAs(options, /*read_only=*/true);
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenAs(const RocksOptions& options,
                                                           bool read_only) {
  BIF_RETURN_IF_ERROR(RefuseUnknownFamilies(options));
  const std::shared_ptr<rocksdb::Cache> cache =
      rocksdb::NewLRUCache(static_cast<size_t>(options.memory_bytes));
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {kFamilies[0], FamilyOptions(cache, 4 << 10, rocksdb::kNoCompression, false)},
      {kFamilies[1], FamilyOptions(cache, 16 << 10, rocksdb::kLZ4Compression, true)},
      {kFamilies[2], FamilyOptions(cache, 64 << 10, rocksdb::kZSTD, false)},
      // Tiles are compressed already, each about as large as a block.
      {kFamilies[3], FamilyOptions(cache, 32 << 10, rocksdb::kNoCompression, false)},
  };
  auto database = std::unique_ptr<Database>(new Database());
  database->read_only_ = read_only;
  database->temporary_path_ = options.temporary_path;
  database->env_ =
      rocksdb::NewCompositeEnv(std::make_shared<KeepIngestedFiles>(rocksdb::FileSystem::Default()));
  rocksdb::DBOptions global = GlobalOptions(options, database->env_.get(), cache);
  global.listeners.push_back(std::make_shared<SealedMemtables>(database->nothing_to_flush_));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      read_only
          ? rocksdb::DB::OpenForReadOnly(global, options.path, families, &database->families_, &db)
          : rocksdb::DB::Open(global, options.path, families, &database->families_, &db);
  BIF_RETURN_IF_ERROR(FromRocks(opened, absl::StrCat("cannot open ", options.path)));
  database->db_.reset(db);
  return database;
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  db_->Close();
}

absl::Status Database::Write(rocksdb::WriteBatch& batch, bool sync, std::string_view doing) {
  // A log whose write fails for want of space is mended only when there is space again, and every
  // attempt before that makes it worse: RocksDB takes the second failure for one that nothing
  // mends.
  const absl::StatusOr<int64_t> free = FreeDiskBytes(temporary_path_);
  if (free.ok() && *free < kSpareDiskBytes + static_cast<int64_t>(batch.GetDataSize())) {
    return absl::ResourceExhaustedError(
        absl::StrCat(absl::string_view(doing.data(), doing.size()), ": the disk is full, ", *free,
                     " bytes are free; delete something else there, and writing goes on"));
  }
  KeepSomethingToFlush();
  rocksdb::WriteOptions options;
  options.sync = sync;
  rocksdb::Status status;
  {
    absl::ReaderMutexLock lock(&recovering_);
    status = db_->Write(options, &batch);
  }
  if (!status.ok() && status.severity() != rocksdb::Status::kNoError) {
    // An earlier failure, a full disk mostly, has put the database into read-only mode. It may be
    // over.
    absl::MutexLock lock(&recovering_);
    if (Recover().ok()) status = db_->Write(options, &batch);
  }
  return FromRocks(status, doing);
}

void Database::KeepSomethingToFlush() {
  if (!nothing_to_flush_.exchange(false)) return;
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  db_->Put(unlogged, families_[0], "", "").PermitUncheckedError();  // the write that follows tells
}

rocksdb::Status Database::Recover() {
  // RocksDB (7.8, with assertions on) insists that no file is deleted while it resumes from a
  // failed write of the manifest, and after a failed ingestion does not see to it.
  rocksdb::Status status = db_->DisableFileDeletions();
  if (!status.ok()) return status;
  status = db_->Resume();
  const rocksdb::Status enabled = db_->EnableFileDeletions(/*force=*/false);
  if (!status.ok() || !enabled.ok()) return status.ok() ? enabled : status;
  // Where the failure left nothing to flush, the log is still the one whose last write failed.
  // RocksDB refuses to write to it, and Debian's build, which has assertions on, ends the process.
  KeepSomethingToFlush();
  return db_->Flush({}, families_[0]);
}

std::string Database::NewTemporaryPath() {
  return absl::StrCat(temporary_path_, "/", ::getpid(), "-", temporary_files_.fetch_add(1), ".sst");
}

std::unique_ptr<rocksdb::SstFileWriter> Database::NewTableFile(
    rocksdb::ColumnFamilyHandle* family) {
  return std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), db_->GetOptions(family),
                                                  family);
}

absl::Status Database::Ingest(rocksdb::ColumnFamilyHandle* family, const std::string& path,
                              const std::string& first, const std::string& last) {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  KeepIngestedFiles::is_ingesting = true;
  const rocksdb::Status status = db_->IngestExternalFile(family, {path}, options);
  KeepIngestedFiles::is_ingesting = false;
  ::unlink(path.c_str());  // a link was made; on failure nobody wants it either
  BIF_RETURN_IF_ERROR(FromRocks(status, "cannot add a table file"));
  // RocksDB reads the file to see which keys it spans, and takes a failed read for their end: it
  // says OK, and the keys beyond are never found.
  for (const std::string& key : {first, last}) {
    rocksdb::PinnableSlice value;
    const rocksdb::Status found = db_->Get({}, family, key, &value);
    if (found.IsNotFound()) return absl::InternalError("a table file was not added as a whole");
    BIF_RETURN_IF_ERROR(FromRocks(found, "cannot read an added table file"));
  }
  return absl::OkStatus();
}

absl::Status Database::Checkpoint(const std::string& path) {
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(path);
  return FromRocks(status, absl::StrCat("cannot make the checkpoint ", path));
}

absl::Status Database::FinishLog() {
  if (read_only_) return absl::OkStatus();
  return FromRocks(db_->Flush({}, families_), "cannot finish the log");
}

absl::Status Database::EraseRange(rocksdb::ColumnFamilyHandle* family, const std::string& begin,
                                  const std::string& end) {
  const rocksdb::Slice first = begin, last = end;
  // Whole files in the range go at once, without reading them. What is left at the edges is covered
  // by a tombstone, and compaction then drops both.
  BIF_RETURN_IF_ERROR(FromRocks(
      rocksdb::DeleteFilesInRange(db_.get(), family, &first, &last, /*include_end=*/false),
      "cannot delete table files"));
  rocksdb::WriteBatch batch;
  batch.DeleteRange(family, first, last);
  BIF_RETURN_IF_ERROR(Write(batch, /*sync=*/true, "cannot delete a range"));
  // The log still holds what was written to it last, up to 64 MiB: it goes once that is in tables.
  BIF_RETURN_IF_ERROR(FinishLog());
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  return FromRocks(db_->CompactRange(compact, family, &first, &last),
                   "cannot compact after a deletion");
}

absl::Status Database::CompactRange(rocksdb::ColumnFamilyHandle* family, const std::string& begin,
                                    const std::string& end, std::atomic<bool>* cancelled) {
  // The log goes once everything that it holds is in tables.
  BIF_RETURN_IF_ERROR(FinishLog());
  const rocksdb::Slice first = begin, last = end;
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  compact.canceled = cancelled;
  return FromRocks(db_->CompactRange(compact, family, &first, &last), "cannot compact");
}

}  // namespace bif::storage
