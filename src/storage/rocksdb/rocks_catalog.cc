#include "src/storage/rocksdb/rocks_catalog.h"

#include <rocksdb/iterator.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"

namespace bif::storage {
namespace {

absl::StatusOr<uint32_t> ParseU32(const RecordKey& key, std::string_view bytes) {
  if (bytes.size() != sizeof(uint32_t)) {
    return absl::DataLossError(absl::StrCat("catalog record ", absl::BytesToHexString(key.bytes),
                                            " has ", bytes.size(), " bytes, not 4"));
  }
  return ReadBigEndian<uint32_t>(bytes, 0);
}

}  // namespace

absl::Status RocksCatalog::Commit(const WriteSet& writes) {
  rocksdb::WriteBatch batch;
  for (const WriteSet::Change& change : writes.changes()) {
    switch (change.type) {
      case WriteSet::Change::kPut:
        batch.Put(database_.catalog(), change.key, change.value);
        break;
      case WriteSet::Change::kDelete:
        batch.Delete(database_.catalog(), change.key);
        break;
      case WriteSet::Change::kDeletePrefix:
        batch.DeleteRange(database_.catalog(), change.key, PrefixEnd(change.key));
        break;
    }
  }
  return database_.Write(batch, /*sync=*/true, "cannot commit to the catalog");
}

absl::StatusOr<std::string> RocksCatalog::GetBytes(const RecordKey& key) {
  std::string value;
  const rocksdb::Status status = database_.db().Get({}, database_.catalog(), key.bytes, &value);
  if (status.ok()) return value;
  return FromRocks(status, absl::StrCat("catalog record ", absl::BytesToHexString(key.bytes)));
}

absl::StatusOr<uint32_t> RocksCatalog::GetU32(const RecordKey& key) {
  BIF_ASSIGN_OR_RETURN(const std::string bytes, GetBytes(key));
  return ParseU32(key, bytes);
}

absl::StatusOr<std::vector<std::optional<uint32_t>>> RocksCatalog::GetU32s(
    const std::vector<RecordKey>& keys) {
  const std::vector<rocksdb::Slice> slices = [&] {
    std::vector<rocksdb::Slice> all;
    all.reserve(keys.size());
    for (const RecordKey& key : keys) all.emplace_back(key.bytes);
    return all;
  }();
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  database_.db().MultiGet({}, database_.catalog(), keys.size(), slices.data(), values.data(),
                          statuses.data());
  std::vector<std::optional<uint32_t>> numbers(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    BIF_RETURN_IF_ERROR(FromRocks(
        statuses[i], absl::StrCat("catalog record ", absl::BytesToHexString(keys[i].bytes))));
    BIF_ASSIGN_OR_RETURN(numbers[i], ParseU32(keys[i], ToView(values[i])));
  }
  return numbers;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> RocksCatalog::ScanBytes(
    const RecordKey& prefix, const std::string& after, size_t limit) {
  const std::string end = PrefixEnd(prefix.bytes);
  const rocksdb::Slice upper = end;
  rocksdb::ReadOptions options;
  if (!end.empty()) options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> record(
      database_.db().NewIterator(options, database_.catalog()));
  // A key followed by a zero byte is the very next possible key.
  const std::string begin = after.empty() ? prefix.bytes : prefix.bytes + after + '\0';
  std::vector<std::pair<std::string, std::string>> rows;
  for (record->Seek(begin); record->Valid() && (limit == 0 || rows.size() < limit);
       record->Next()) {
    rows.emplace_back(ToView(record->key()).substr(prefix.bytes.size()),
                      record->value().ToString());
  }
  // An iterator that meets a damaged block just becomes invalid: only its status tells.
  BIF_RETURN_IF_ERROR(
      FromRocks(record->status(),
                absl::StrCat("catalog records below ", absl::BytesToHexString(prefix.bytes))));
  return rows;
}

absl::StatusOr<uint64_t> RocksCatalog::NextNumber(const std::string& counter) {
  absl::MutexLock lock(&counters_);
  const RecordKey key = CounterKey(counter);
  uint64_t number = 0;
  absl::StatusOr<std::string> bytes = GetBytes(key);
  if (bytes.ok()) {
    if (bytes->size() != sizeof(number)) {
      return absl::DataLossError(
          absl::StrCat("the counter '", counter, "' has ", bytes->size(), " bytes, not 8"));
    }
    number = ReadBigEndian<uint64_t>(*bytes, 0);
  } else if (!absl::IsNotFound(bytes.status())) {
    return bytes.status();
  }
  ++number;
  std::string value;
  AppendBigEndian(value, number);
  WriteSet writes;
  writes.PutBytes(key, std::move(value));
  BIF_RETURN_IF_ERROR(Commit(writes));
  return number;
}

}  // namespace bif::storage
