#include "src/storage/rocksdb/rocks_stores.h"

#include "src/base/status.h"
#include "src/storage/rocksdb/database.h"
#include "src/storage/rocksdb/rocks_catalog.h"
#include "src/storage/rocksdb/rocks_check.h"
#include "src/storage/rocksdb/rocks_sample_store.h"
#include "src/storage/rocksdb/rocks_trace_store.h"

namespace bif::storage {
namespace {

class RocksStoresImpl : public RocksStores {
 public:
  explicit RocksStoresImpl(std::unique_ptr<Database> database)
      : database_(std::move(database)),
        catalog_(*database_),
        samples_(*database_, catalog_),
        traces_(*database_) {}

  Catalog& catalog() override { return catalog_; }
  SampleStore& samples() override { return samples_; }
  TraceStore& traces() override { return traces_; }
  absl::StatusOr<std::vector<uint64_t>> PosteriorsWithTraces() override {
    return traces_.Posteriors();
  }
  absl::StatusOr<std::vector<uint32_t>> DatasetsWithSamples() override {
    return samples_.Datasets();
  }
  absl::Status Checkpoint(const std::string& path) override { return database_->Checkpoint(path); }
  absl::Status Check(const Owners& owners, CheckRun& run) override {
    BIF_RETURN_IF_ERROR(database_->FinishLog());
    return CheckDatabase(*database_, owners, run);
  }

 private:
  const std::unique_ptr<Database> database_;
  RocksCatalog catalog_;
  RocksSampleStore samples_;
  RocksTraceStore traces_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RocksStores>> OpenRocksStores(const RocksOptions& options) {
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(options));
  return std::make_unique<RocksStoresImpl>(std::move(database));
}

absl::StatusOr<std::unique_ptr<RocksStores>> OpenRocksStoresForReading(
    const RocksOptions& options) {
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::OpenForReading(options));
  return std::make_unique<RocksStoresImpl>(std::move(database));
}

}  // namespace bif::storage
