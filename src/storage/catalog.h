// The only truth about what exists. Small typed records (proto/bif/storage/v1) in RocksDB; files
// and tiles count for nothing until the catalog names them.
//
// Thread-safe. A commit is one synced write: after OK it survives kill -9 and power loss, and
// readers see all of it or nothing. Reads give NOT_FOUND for a missing record and DATA_LOSS for one
// that cannot be read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bif/storage/v1/catalog.pb.h"

namespace bif::storage {

namespace pb = ::bif::storage::v1;

// Kinds of catalog record. The number is the first byte of the key on disk: never reuse one.
enum class RecordKind : uint8_t {
  kProgram = 1,
  kCheckpoint = 2,
  kDataset = 3,
  kPosterior = 4,
  kDraw = 5,
  kTraceExtent = 6,
  kOperation = 7,
  kRequestId = 8,
  kCounter = 9,
  kHeader = 10,
  kSampleIndex = 11,   // dataset number, user's id -> ordinal (u32)
  kSampleDigest = 12,  // dataset number, digest -> ordinal (u32); for hidden datasets
  kSampleExtent = 13,  // dataset number -> rows that are visible (u32); written by SampleStore
  kDeletedRows = 14,   // dataset number, chunk of 65,536 ordinals -> bitmap; written by SampleStore
  kErasedRows = 15,    // likewise: the deleted rows whose bytes are gone
  kTokenExtent = 16,
  kObservable = 17,
  kTenant = 18,
  kToken = 19,
  kShare = 20,
  kUsage = 21,  // one a tenant
};

// A catalog key: the kind, then text or fixed-width big-endian numbers. Build one with the
// functions below.
struct RecordKey {
  std::string bytes;
};
RecordKey ProgramKey(const std::string& digest);
RecordKey CheckpointKey(const std::string& digest);
RecordKey DatasetKey(const std::string& id);
RecordKey PosteriorKey(const std::string& key);
RecordKey DrawKey(uint64_t posterior_number, uint32_t chain, uint32_t draw);
RecordKey TraceExtentKey(uint64_t posterior_number, uint32_t array, uint32_t dataset_number,
                         uint32_t first_slot);
RecordKey TokenExtentKey(uint64_t posterior_number, uint32_t array, uint32_t dataset_number,
                         uint32_t first_slot);
RecordKey ObservableKey(uint64_t posterior_number, uint32_t observable_number);
RecordKey OperationKey(const std::string& id);
RecordKey RequestIdKey(const std::string& tenant, const std::string& request_id);
RecordKey SampleIndexKey(uint32_t dataset_number, const std::string& sample_id);
RecordKey SampleDigestKey(uint32_t dataset_number, const std::string& digest_hex);
RecordKey SampleExtentKey(uint32_t dataset_number);
RecordKey DeletedRowsKey(uint32_t dataset_number, uint32_t chunk);
RecordKey ErasedRowsKey(uint32_t dataset_number, uint32_t chunk);
RecordKey CounterKey(const std::string& counter);
RecordKey HeaderKey();  // the one StoreHeader
RecordKey TenantKey(const std::string& id);
RecordKey TokenKey(const std::string& secret_sha256_hex);
RecordKey ShareKey(const std::string& grantee, const std::string& name);
RecordKey UsageKey(const std::string& tenant);
// The common beginning of all keys of a kind (and, where numbers are given, of those records).
RecordKey KindPrefix(RecordKind kind);
RecordKey DrawPrefix(uint64_t posterior_number);
RecordKey TraceExtentPrefix(uint64_t posterior_number);
RecordKey TraceExtentPrefix(uint64_t posterior_number, uint32_t array, uint32_t dataset_number);
RecordKey TokenExtentPrefix(uint64_t posterior_number);
RecordKey ObservablePrefix(uint64_t posterior_number);
RecordKey SampleIndexPrefix(uint32_t dataset_number);
RecordKey SampleDigestPrefix(uint32_t dataset_number);
RecordKey DeletedRowsPrefix(uint32_t dataset_number);
RecordKey ErasedRowsPrefix(uint32_t dataset_number);

// Puts and deletions that become visible together. Thread-compatible.
class WriteSet {
 public:
  void Put(const RecordKey& key, const google::protobuf::MessageLite& record);
  void PutBytes(const RecordKey& key, std::string value);
  void PutU32(const RecordKey& key, uint32_t value);
  void Delete(const RecordKey& key);
  void DeletePrefix(const RecordKey& prefix);

  struct Change {
    enum Type { kPut, kDelete, kDeletePrefix } type;
    std::string key;
    std::string value;
  };
  const std::vector<Change>& changes() const { return changes_; }
  // The last Put or Delete of exactly this key, nullptr if there is none. DeletePrefix is not
  // looked at.
  const Change* Find(const RecordKey& key) const;

 private:
  std::vector<Change> changes_;
  absl::flat_hash_map<std::string, size_t> last_change_;  // key -> position in changes_
};

class Catalog {
 public:
  virtual ~Catalog() = default;

  virtual absl::Status Commit(const WriteSet& writes) = 0;

  virtual absl::StatusOr<std::string> GetBytes(const RecordKey& key) = 0;
  virtual absl::StatusOr<uint32_t> GetU32(const RecordKey& key) = 0;
  // Many at once; a missing one is nullopt. For id and digest look-ups.
  virtual absl::StatusOr<std::vector<std::optional<uint32_t>>> GetU32s(
      const std::vector<RecordKey>& keys) = 0;

  // Records below `prefix` in key order, from the first key after `after` (empty: the beginning),
  // at most `limit` (0: all). Keys come with the prefix cut off, and `after` is such a key.
  virtual absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ScanBytes(
      const RecordKey& prefix, const std::string& after, size_t limit) = 0;

  // The next value of a persistent counter (1, 2, ...), already on disk: "dataset", "posterior".
  virtual absl::StatusOr<uint64_t> NextNumber(const std::string& counter) = 0;

  template <typename Record>
  absl::StatusOr<Record> Get(const RecordKey& key) {
    absl::StatusOr<std::string> bytes = GetBytes(key);
    if (!bytes.ok()) return bytes.status();
    Record record;
    if (!record.ParseFromString(*bytes)) return Unreadable(key);
    return record;
  }

  template <typename Record>
  absl::StatusOr<std::vector<std::pair<std::string, Record>>> Scan(const RecordKey& prefix,
                                                                   const std::string& after = "",
                                                                   size_t limit = 0) {
    auto rows = ScanBytes(prefix, after, limit);
    if (!rows.ok()) return rows.status();
    std::vector<std::pair<std::string, Record>> records(rows->size());
    for (size_t i = 0; i < rows->size(); ++i) {
      records[i].first = std::move((*rows)[i].first);
      if (!records[i].second.ParseFromString((*rows)[i].second)) return Unreadable(prefix);
    }
    return records;
  }

 private:
  static absl::Status Unreadable(const RecordKey& key);  // DATA_LOSS with the key in hex
};

}  // namespace bif::storage
