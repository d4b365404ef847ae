// TraceStore in the column family `traces`: one key a tile (src/storage/trace_tile.h). Thread-safe.
#pragma once

#include <vector>

#include "src/storage/rocksdb/database.h"
#include "src/storage/trace_store.h"
#include "src/storage/trace_tile.h"

namespace bif::storage {

class RocksTraceStore : public TraceStore {
 public:
  explicit RocksTraceStore(Database& database) : database_(database) {}

  using TraceStore::Write;
  absl::Status Write(const TraceArray& array, uint32_t chain, uint32_t first_slot, uint32_t slots,
                     uint32_t first_draw, uint32_t draws, absl::Span<const float> values,
                     TraceType type) override;
  absl::Status Read(const TraceArray& array, uint32_t chain, uint32_t first_slot, uint32_t slots,
                    uint32_t draws, int64_t row_stride, int64_t column,
                    absl::Span<float> values) override;
  absl::Status DeletePosterior(uint64_t posterior) override;

  // Posteriors that have tiles, ascending.
  absl::StatusOr<std::vector<uint64_t>> Posteriors();

 private:
  struct Rectangle;
  absl::Status RemoveOverlaps(const TraceArray& array, uint16_t chain, const Rectangle& written);
  absl::Status WriteBatched(const TraceArray& array, uint16_t chain, const Rectangle& written);
  absl::Status WriteTable(const TraceArray& array, uint16_t chain, const Rectangle& written);

  Database& database_;
};

}  // namespace bif::storage
