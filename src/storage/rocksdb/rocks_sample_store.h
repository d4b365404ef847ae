// SampleStore in the column family `samples`, with its indices in the catalog. Thread-safe.
//
// A dataset is two runs of blocks (src/storage/sample_block.h): identities (ids and digests) and
// tensors, so that listing ids never reads images. sample_erasure.cc has what happens to deleted
// rows.
#pragma once

#include <vector>

#include "src/storage/catalog.h"
#include "src/storage/rocksdb/database.h"
#include "src/storage/sample_store.h"

namespace bif::storage {

class RocksSampleStore : public SampleStore {
 public:
  RocksSampleStore(Database& database, Catalog& catalog) : database_(database), catalog_(catalog) {}

  absl::Status Write(uint32_t dataset_number, int64_t first_ordinal, const SampleBatch& batch,
                     const std::vector<std::string>& ids, bool index_digests,
                     WriteSet& writes) override;
  absl::StatusOr<SampleBatch> Read(uint32_t dataset_number,
                                   const std::vector<uint32_t>& ordinals) override;
  absl::StatusOr<std::vector<SampleHeader>> ReadHeaders(uint32_t dataset_number, int64_t first,
                                                        int64_t count) override;
  absl::Status MarkDeleted(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                           WriteSet& writes) override;
  absl::StatusOr<std::vector<uint32_t>> Living(uint32_t dataset_number,
                                               std::vector<uint32_t> ordinals) override;
  absl::StatusOr<std::vector<uint32_t>> NotErased(uint32_t dataset_number) override;
  absl::Status Erase(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                     WriteSet& writes) override;
  absl::Status Compact(uint32_t dataset_number, uint32_t first, uint32_t last,
                       const CancelToken& cancel) override;
  absl::Status DeleteDataset(uint32_t dataset_number) override;

  // Datasets that have blocks, ascending.
  absl::StatusOr<std::vector<uint32_t>> Datasets();

 private:
  absl::StatusOr<uint32_t> VisibleRows(uint32_t dataset_number);
  absl::Status RefuseTakenIds(uint32_t dataset_number, const std::vector<std::string>& ids,
                              const WriteSet& writes);
  // Why a row has no block: beyond the end, deleted and erased, or lost.
  absl::Status MissingRow(uint32_t dataset_number, uint32_t ordinal, uint32_t visible_rows);
  // A bitmap of rows, as `writes` will leave it; empty if there is none.
  absl::StatusOr<std::string> Bitmap(const RecordKey& key, const WriteSet* writes = nullptr);
  absl::Status EraseTensors(uint32_t dataset_number, const std::vector<uint32_t>& ordinals);
  absl::Status EraseIdentities(uint32_t dataset_number, const std::vector<uint32_t>& ordinals);

  Database& database_;
  Catalog& catalog_;
};

}  // namespace bif::storage
