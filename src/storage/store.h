// One data directory: the catalog, samples and traces (RocksDB), draws and blobs (plain files).
//
//   <root>/LOCK        held while a daemon runs; a second one is refused with FAILED_PRECONDITION
//   <root>/db/         RocksDB, column families catalog, samples, traces
//   <root>/blobs/      programs and weights, named by SHA-256
//   <root>/draws/N/    draws and chain states of posterior number N
//   <root>/tmp/        files being written; emptied at start-up
//
// Thread-safe. The format is written down in docs/storage_format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/storage/backup.h"
#include "src/storage/blob_store.h"
#include "src/storage/catalog.h"
#include "src/storage/check.h"
#include "src/storage/draw_store.h"
#include "src/storage/format.h"
#include "src/storage/sample_store.h"
#include "src/storage/trace_store.h"

namespace bif::storage {

struct StoreOptions {
  std::string root;                         // made if it is missing
  int64_t memory_bytes = 128 << 20;         // RocksDB's block cache and write buffers together
  int64_t min_free_disk_bytes = 256 << 20;  // below this, HasSpaceFor refuses; see there
  // Gets RocksDB's warnings and errors, a line each, from any thread. Empty: standard error.
  std::function<void(std::string_view)> log;
};

// What start-up found and swept, and how long opening the directory took: replaying the log,
// reading the catalog, sweeping.
struct RecoveryReport {
  int64_t swept_files = 0;
  int64_t swept_bytes = 0;
  double seconds = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual Catalog& catalog() = 0;
  virtual SampleStore& samples() = 0;
  virtual TraceStore& traces() = 0;
  virtual DrawStore& draws() = 0;
  virtual BlobStore& blobs() = 0;
  virtual const RecoveryReport& recovery() const = 0;
  // RESOURCE_EXHAUSTED, with the numbers, if writing `bytes` would leave less than the watermark
  // free. Once refused, a quarter of the watermark more has to be free before it agrees again.
  virtual absl::Status HasSpaceFor(int64_t bytes) = 0;
  virtual absl::StatusOr<int64_t> FreeDiskBytes() = 0;

  // Copies everything, as it is at one moment, to a folder that src/storage/restore.h makes a data
  // directory of. Work goes on meanwhile; deleting waits for as long as hard links take.
  // FAILED_PRECONDITION while another backup is being made.
  virtual absl::StatusOr<BackupReport> Backup(const BackupOptions& options) = 0;
  // Reads everything and compares it with its checksums. FAILED_PRECONDITION while another
  // scrub goes on.
  virtual absl::StatusOr<CheckSummary> Scrub(const CheckOptions& options) = 0;
};

// Opens or makes the directory. A newer format version than this build knows, a backup, and a
// directory that a cut-off backup or restore left: FAILED_PRECONDITION.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options);

}  // namespace bif::storage
