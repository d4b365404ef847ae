// The three stores that live in RocksDB, opened together: catalog, samples and traces, a column
// family each. This header names no RocksDB type, so that nothing above this folder needs its
// headers.
//
// Thread-safe. Must outlive every use of its stores.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/storage/catalog.h"
#include "src/storage/check.h"
#include "src/storage/owners.h"
#include "src/storage/sample_store.h"
#include "src/storage/trace_store.h"

namespace bif::storage {

struct RocksOptions {
  std::string path;                  // made if it is missing
  std::string temporary_path;        // same file system; where large traces are prepared
  int64_t memory_bytes = 128 << 20;  // block cache and write buffers together
  // Gets RocksDB's own warnings and errors, a line each; called from any thread.
  std::function<void(std::string_view)> log;
};

class RocksStores {
 public:
  virtual ~RocksStores() = default;
  virtual Catalog& catalog() = 0;
  virtual SampleStore& samples() = 0;
  virtual TraceStore& traces() = 0;

  // Which posteriors have tiles and which datasets have blocks, named by the catalog or not: for
  // the sweep.
  virtual absl::StatusOr<std::vector<uint64_t>> PosteriorsWithTraces() = 0;
  virtual absl::StatusOr<std::vector<uint32_t>> DatasetsWithSamples() = 0;

  // A copy of all three as they are at one moment, which OpenRocksStores can open: tables as hard
  // links, the rest copied. `path` must not be there, and lie on the same file system.
  virtual absl::Status Checkpoint(const std::string& path) = 0;
  // Reads everything, also what lay in the log until now. Damage goes to `run`; a status is given
  // only if the check itself cannot go on.
  virtual absl::Status Check(const Owners& owners, CheckRun& run) = 0;
};

// DATA_LOSS if files are damaged, FAILED_PRECONDITION if a newer build made them.
absl::StatusOr<std::unique_ptr<RocksStores>> OpenRocksStores(const RocksOptions& options);
// The same without changing anything on disk; what would write fails. NOT_FOUND if there is
// nothing.
absl::StatusOr<std::unique_ptr<RocksStores>> OpenRocksStoresForReading(const RocksOptions& options);

}  // namespace bif::storage
