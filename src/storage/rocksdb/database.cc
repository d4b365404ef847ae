#include "src/storage/rocksdb/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

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

rocksdb::DBOptions GlobalOptions(const RocksOptions& options,
                                 const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions global;
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
  database->temporary_path_ = options.temporary_path;
  rocksdb::DB* db = nullptr;
  BIF_RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(GlobalOptions(options, cache), options.path,
                                                  families, &database->families_, &db),
                                absl::StrCat("cannot open ", options.path)));
  database->db_.reset(db);
  return database;
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  db_->Close();
}

absl::Status Database::Write(rocksdb::WriteBatch& batch, bool sync, std::string_view doing) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  rocksdb::Status status = db_->Write(options, &batch);
  if (!status.ok() && status.severity() != rocksdb::Status::kNoError) {
    // An earlier failure, a full disk mostly, has put the database into read-only mode. It may be
    // over.
    if (db_->Resume().ok()) status = db_->Write(options, &batch);
  }
  return FromRocks(status, doing);
}

std::string Database::NewTemporaryPath() {
  return absl::StrCat(temporary_path_, "/", ::getpid(), "-", temporary_files_.fetch_add(1), ".sst");
}

std::unique_ptr<rocksdb::SstFileWriter> Database::NewTableFile(
    rocksdb::ColumnFamilyHandle* family) {
  return std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), db_->GetOptions(family),
                                                  family);
}

absl::Status Database::Ingest(rocksdb::ColumnFamilyHandle* family, const std::string& path) {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  const rocksdb::Status status = db_->IngestExternalFile(family, {path}, options);
  ::unlink(path.c_str());  // a link was made; on failure nobody wants it either
  return FromRocks(status, "cannot add a table file");
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
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  return FromRocks(db_->CompactRange(compact, family, &first, &last),
                   "cannot compact after a deletion");
}

absl::Status Database::CompactRange(rocksdb::ColumnFamilyHandle* family, const std::string& begin,
                                    const std::string& end, std::atomic<bool>* cancelled) {
  // The log goes once everything that it holds is in tables.
  BIF_RETURN_IF_ERROR(FromRocks(db_->Flush({}, families_), "cannot finish the log"));
  const rocksdb::Slice first = begin, last = end;
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  compact.canceled = cancelled;
  return FromRocks(db_->CompactRange(compact, family, &first, &last), "cannot compact");
}

}  // namespace bif::storage
