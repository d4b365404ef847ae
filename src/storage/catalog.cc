#include "src/storage/catalog.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/storage/big_endian.h"

namespace bif::storage {
namespace {

RecordKey TextKey(RecordKind kind, const std::string& text) {
  RecordKey key = KindPrefix(kind);
  key.bytes += text;
  return key;
}

template <typename... Unsigned>
RecordKey NumberKey(RecordKind kind, Unsigned... numbers) {
  RecordKey key = KindPrefix(kind);
  (AppendBigEndian(key.bytes, numbers), ...);
  return key;
}

}  // namespace

RecordKey KindPrefix(RecordKind kind) { return {std::string(1, static_cast<char>(kind))}; }

RecordKey ProgramKey(const std::string& digest) { return TextKey(RecordKind::kProgram, digest); }
RecordKey CheckpointKey(const std::string& digest) {
  return TextKey(RecordKind::kCheckpoint, digest);
}
RecordKey DatasetKey(const std::string& id) { return TextKey(RecordKind::kDataset, id); }
RecordKey PosteriorKey(const std::string& key) { return TextKey(RecordKind::kPosterior, key); }
RecordKey OperationKey(const std::string& id) { return TextKey(RecordKind::kOperation, id); }
RecordKey CounterKey(const std::string& counter) { return TextKey(RecordKind::kCounter, counter); }
RecordKey HeaderKey() { return KindPrefix(RecordKind::kHeader); }

RecordKey TenantKey(const std::string& id) { return TextKey(RecordKind::kTenant, id); }
RecordKey TokenKey(const std::string& secret_sha256_hex) {
  return TextKey(RecordKind::kToken, secret_sha256_hex);
}
RecordKey ShareKey(const std::string& grantee, const std::string& name) {
  return TextKey(RecordKind::kShare, grantee + " " + name);  // no tenant's id holds a space
}
RecordKey UsageKey(const std::string& tenant) { return TextKey(RecordKind::kUsage, tenant); }

RecordKey RequestIdKey(const std::string& tenant, const std::string& request_id) {
  // The length keeps ("a", "bc") and ("ab", "c") apart.
  RecordKey key = NumberKey(RecordKind::kRequestId, static_cast<uint32_t>(tenant.size()));
  key.bytes += tenant;
  key.bytes += request_id;
  return key;
}

RecordKey DrawKey(uint64_t posterior_number, uint32_t chain, uint32_t draw) {
  return NumberKey(RecordKind::kDraw, posterior_number, chain, draw);
}
RecordKey DrawPrefix(uint64_t posterior_number) {
  return NumberKey(RecordKind::kDraw, posterior_number);
}

RecordKey TraceExtentKey(uint64_t posterior_number, uint32_t array, uint32_t dataset_number,
                         uint32_t first_slot) {
  return NumberKey(RecordKind::kTraceExtent, posterior_number, array, dataset_number, first_slot);
}
RecordKey TraceExtentPrefix(uint64_t posterior_number) {
  return NumberKey(RecordKind::kTraceExtent, posterior_number);
}
RecordKey TraceExtentPrefix(uint64_t posterior_number, uint32_t array, uint32_t dataset_number) {
  return NumberKey(RecordKind::kTraceExtent, posterior_number, array, dataset_number);
}

RecordKey TokenExtentKey(uint64_t posterior_number, uint32_t array, uint32_t dataset_number,
                         uint32_t first_slot) {
  return NumberKey(RecordKind::kTokenExtent, posterior_number, array, dataset_number, first_slot);
}
RecordKey TokenExtentPrefix(uint64_t posterior_number) {
  return NumberKey(RecordKind::kTokenExtent, posterior_number);
}
RecordKey ObservableKey(uint64_t posterior_number, uint32_t observable_number) {
  return NumberKey(RecordKind::kObservable, posterior_number, observable_number);
}
RecordKey ObservablePrefix(uint64_t posterior_number) {
  return NumberKey(RecordKind::kObservable, posterior_number);
}

RecordKey SampleIndexKey(uint32_t dataset_number, const std::string& sample_id) {
  RecordKey key = SampleIndexPrefix(dataset_number);
  key.bytes += sample_id;
  return key;
}
RecordKey SampleDigestKey(uint32_t dataset_number, const std::string& digest_hex) {
  RecordKey key = SampleDigestPrefix(dataset_number);
  key.bytes += digest_hex;
  return key;
}
RecordKey SampleExtentKey(uint32_t dataset_number) {
  return NumberKey(RecordKind::kSampleExtent, dataset_number);
}
RecordKey DeletedRowsKey(uint32_t dataset_number, uint32_t chunk) {
  return NumberKey(RecordKind::kDeletedRows, dataset_number, chunk);
}
RecordKey ErasedRowsKey(uint32_t dataset_number, uint32_t chunk) {
  return NumberKey(RecordKind::kErasedRows, dataset_number, chunk);
}
RecordKey SampleIndexPrefix(uint32_t dataset_number) {
  return NumberKey(RecordKind::kSampleIndex, dataset_number);
}
RecordKey SampleDigestPrefix(uint32_t dataset_number) {
  return NumberKey(RecordKind::kSampleDigest, dataset_number);
}
RecordKey DeletedRowsPrefix(uint32_t dataset_number) {
  return NumberKey(RecordKind::kDeletedRows, dataset_number);
}
RecordKey ErasedRowsPrefix(uint32_t dataset_number) {
  return NumberKey(RecordKind::kErasedRows, dataset_number);
}

void WriteSet::Put(const RecordKey& key, const google::protobuf::MessageLite& record) {
  PutBytes(key, record.SerializeAsString());
}

void WriteSet::PutU32(const RecordKey& key, uint32_t value) {
  std::string bytes;
  AppendBigEndian(bytes, value);
  PutBytes(key, std::move(bytes));
}

void WriteSet::PutBytes(const RecordKey& key, std::string value) {
  last_change_[key.bytes] = changes_.size();
  changes_.push_back({Change::kPut, key.bytes, std::move(value)});
}

void WriteSet::Delete(const RecordKey& key) {
  last_change_[key.bytes] = changes_.size();
  changes_.push_back({Change::kDelete, key.bytes, {}});
}

void WriteSet::DeletePrefix(const RecordKey& prefix) {
  changes_.push_back({Change::kDeletePrefix, prefix.bytes, {}});
}

const WriteSet::Change* WriteSet::Find(const RecordKey& key) const {
  const auto found = last_change_.find(key.bytes);
  return found == last_change_.end() ? nullptr : &changes_[found->second];
}

absl::Status Catalog::Unreadable(const RecordKey& key) {
  return absl::DataLossError(
      absl::StrCat("catalog record ", absl::BytesToHexString(key.bytes),
                   " cannot be read: restore the data directory from a backup"));
}

}  // namespace bif::storage
