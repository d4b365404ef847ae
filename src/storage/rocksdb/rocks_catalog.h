// Catalog in the column family `catalog`. Thread-safe.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/storage/catalog.h"
#include "src/storage/rocksdb/database.h"

namespace bif::storage {

class RocksCatalog : public Catalog {
 public:
  explicit RocksCatalog(Database& database) : database_(database) {}

  absl::Status Commit(const WriteSet& writes) override;
  absl::StatusOr<std::string> GetBytes(const RecordKey& key) override;
  absl::StatusOr<uint32_t> GetU32(const RecordKey& key) override;
  absl::StatusOr<std::vector<std::optional<uint32_t>>> GetU32s(
      const std::vector<RecordKey>& keys) override;
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ScanBytes(
      const RecordKey& prefix, const std::string& after, size_t limit) override;
  absl::StatusOr<uint64_t> NextNumber(const std::string& counter) override;

 private:
  Database& database_;
  // Makes read, add one and write of a counter one step. Guards the counter records on disk, no
  // member.
  absl::Mutex counters_;
};

}  // namespace bif::storage
