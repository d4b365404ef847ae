#include "src/storage/rocksdb/rocks_sample_store.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/rocksdb/block_cursor.h"
#include "src/storage/row_bitmap.h"
#include "src/storage/sample_block.h"

namespace bif::storage {
namespace {

constexpr int64_t kMaxRows = std::numeric_limits<uint32_t>::max();
constexpr size_t kMaxIdBytes = 1024;

absl::Status CheckBatch(int64_t first_ordinal, const SampleBatch& batch,
                        const std::vector<std::string>& ids) {
  if (first_ordinal < 0 || batch.rows < 0 || first_ordinal > kMaxRows - batch.rows) {
    return absl::OutOfRangeError(absl::StrCat("a dataset holds at most ", kMaxRows, " rows"));
  }
  if (static_cast<int64_t>(ids.size()) != batch.rows) {
    return absl::InvalidArgumentError(absl::StrCat(batch.rows, " rows with ", ids.size(), " ids"));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i].empty() || ids[i].size() > kMaxIdBytes) {
      return absl::InvalidArgumentError(absl::StrCat("the id of row ", i, " has ", ids[i].size(),
                                                     " bytes; 1 to ", kMaxIdBytes, " are allowed"));
    }
  }
  for (const Column& column : batch.columns) {
    if (column.data.size() != column.spec.bytes() * static_cast<size_t>(batch.rows)) {
      return absl::InvalidArgumentError(absl::StrCat("column ", column.spec.name, " has ",
                                                     column.data.size(), " bytes for ", batch.rows,
                                                     " rows of ", column.spec.bytes()));
    }
  }
  return absl::OkStatus();
}

// Collects blocks and writes them in batches below kMaxBatchBytes. They go to the log unsynced: the
// commit that makes the rows visible syncs the log, and with it what was written before.
class BlockWriter {
 public:
  explicit BlockWriter(Database& database) : database_(database) {}

  absl::Status Add(const BlockKey& key, const std::string& value) {
    if (batch_.Count() > 0 && batch_.GetDataSize() + value.size() > kMaxBatchBytes)
      BIF_RETURN_IF_ERROR(Flush());
    return FromRocks(batch_.Put(database_.samples(), key.Encode(), value),
                     "cannot collect samples");
  }
  absl::Status Flush() {
    BIF_RETURN_IF_ERROR(database_.Write(batch_, /*sync=*/false, "cannot write samples"));
    batch_.Clear();
    return absl::OkStatus();
  }

 private:
  Database& database_;
  rocksdb::WriteBatch batch_;
};

// Calls visit(first, end), relative to the append, for each piece of [first_ordinal, first_ordinal
// + rows) that lies within one block. Blocks begin at multiples of block_rows, and where an append
// begins.
template <typename Visit>
absl::Status ForEachBlock(int64_t first_ordinal, int64_t rows, int64_t block_rows, Visit visit) {
  for (int64_t begin = 0; begin < rows;) {
    const int64_t end =
        std::min(rows, ((first_ordinal + begin) / block_rows + 1) * block_rows - first_ordinal);
    BIF_RETURN_IF_ERROR(visit(begin, end));
    begin = end;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint32_t> RocksSampleStore::VisibleRows(uint32_t dataset_number) {
  absl::StatusOr<uint32_t> rows = catalog_.GetU32(SampleExtentKey(dataset_number));
  if (absl::IsNotFound(rows.status())) return 0u;
  return rows;
}

absl::Status RocksSampleStore::MissingRow(uint32_t dataset, uint32_t ordinal, uint32_t rows) {
  if (ordinal >= rows) {
    return absl::NotFoundError(
        absl::StrCat("dataset ", dataset, " has no row ", ordinal, "; it has ", rows));
  }
  BIF_ASSIGN_OR_RETURN(const std::string deleted,
                       Bitmap(DeletedRowsKey(dataset, ordinal / kBitmapRows)));
  if (!BitIsSet(deleted, ordinal)) return LostBlock(dataset, ordinal);
  return absl::NotFoundError(
      absl::StrCat("row ", ordinal, " of dataset ", dataset, " was deleted and is gone"));
}

absl::Status RocksSampleStore::RefuseTakenIds(uint32_t dataset_number,
                                              const std::vector<std::string>& ids,
                                              const WriteSet& writes) {
  absl::flat_hash_set<std::string_view> given;
  given.reserve(ids.size());
  std::vector<RecordKey> keys;
  keys.reserve(ids.size());
  for (const std::string& id : ids) {
    if (!given.insert(id).second)
      return absl::AlreadyExistsError(absl::StrCat("sample id '", id, "' is given twice"));
    keys.push_back(SampleIndexKey(dataset_number, id));
  }
  BIF_ASSIGN_OR_RETURN(const auto stored, catalog_.GetU32s(keys));
  for (size_t i = 0; i < ids.size(); ++i) {
    const WriteSet::Change* pending = writes.Find(keys[i]);
    const bool taken =
        pending != nullptr ? pending->type == WriteSet::Change::kPut : stored[i].has_value();
    if (taken) return absl::AlreadyExistsError(absl::StrCat("sample id '", ids[i], "' is taken"));
  }
  return absl::OkStatus();
}

absl::Status RocksSampleStore::Write(uint32_t dataset_number, int64_t first_ordinal,
                                     const SampleBatch& batch, const std::vector<std::string>& ids,
                                     bool index_digests, WriteSet& writes) {
  BIF_RETURN_IF_ERROR(CheckBatch(first_ordinal, batch, ids));
  BIF_RETURN_IF_ERROR(RefuseTakenIds(dataset_number, ids, writes));
  std::vector<SampleIdentity> identities(ids.size());
  for (size_t i = 0; i < ids.size(); ++i)
    identities[i] = {ids[i], SampleDigest(batch, static_cast<int64_t>(i))};

  BlockWriter blocks(database_);
  BIF_RETURN_IF_ERROR(
      ForEachBlock(first_ordinal, batch.rows, kIdentityBlockRows, [&](int64_t begin, int64_t end) {
        const BlockKey key = {dataset_number, BlockKind::kIdentities,
                              static_cast<uint32_t>(first_ordinal + begin)};
        return blocks.Add(
            key, EncodeIdentities(key, {identities.begin() + begin, identities.begin() + end}));
      }));
  BIF_RETURN_IF_ERROR(ForEachBlock(
      first_ordinal, batch.rows, TensorBlockRows(batch), [&](int64_t begin, int64_t end) {
        const BlockKey key = {dataset_number, BlockKind::kTensors,
                              static_cast<uint32_t>(first_ordinal + begin)};
        return blocks.Add(key, EncodeTensors(key, batch, begin, end - begin));
      }));
  BIF_RETURN_IF_ERROR(blocks.Flush());

  for (size_t i = 0; i < ids.size(); ++i) {
    const auto ordinal = static_cast<uint32_t>(first_ordinal + static_cast<int64_t>(i));
    writes.PutU32(SampleIndexKey(dataset_number, ids[i]), ordinal);
    if (index_digests)
      writes.PutU32(SampleDigestKey(dataset_number, ToHex(identities[i].digest)), ordinal);
  }
  writes.PutU32(SampleExtentKey(dataset_number), static_cast<uint32_t>(first_ordinal + batch.rows));
  return absl::OkStatus();
}

absl::StatusOr<SampleBatch> RocksSampleStore::Read(uint32_t dataset_number,
                                                   const std::vector<uint32_t>& ordinals) {
  BIF_ASSIGN_OR_RETURN(const uint32_t visible_rows, VisibleRows(dataset_number));
  if (!std::is_sorted(ordinals.begin(), ordinals.end())) {
    return absl::InvalidArgumentError("rows are to be asked for in ascending order");
  }
  SampleBatch result;
  result.rows = static_cast<int64_t>(ordinals.size());
  if (ordinals.empty()) return result;
  if (ordinals.back() >= visible_rows)
    return MissingRow(dataset_number, ordinals.back(), visible_rows);

  BlockCursor cursor(database_, dataset_number, BlockKind::kTensors, ordinals.size());
  for (size_t i = 0; i < ordinals.size();) {
    BIF_ASSIGN_OR_RETURN(const bool found, cursor.Find(ordinals[i]));
    if (!found) return MissingRow(dataset_number, ordinals[i], visible_rows);
    const BlockKey key = cursor.key();
    BIF_ASSIGN_OR_RETURN(const TensorBlock block, DecodeTensors(key, cursor.value()));
    if (ordinals[i] - key.first_ordinal >= block.rows)
      return MissingRow(dataset_number, ordinals[i], visible_rows);
    if (result.columns.empty()) {
      for (const TensorBlock::Column& column : block.columns) {
        result.columns.push_back(
            {column.spec, std::vector<std::byte>(column.spec.bytes() * ordinals.size())});
      }
    }
    if (block.columns.size() != result.columns.size()) {
      return absl::DataLossError(
          absl::StrCat(key.ToString(), " has other columns than the blocks before it"));
    }
    // Runs of consecutive rows are copied at once.
    while (i < ordinals.size() && ordinals[i] - key.first_ordinal < block.rows) {
      const size_t row = ordinals[i] - key.first_ordinal;
      size_t run = 1;
      while (i + run < ordinals.size() && row + run < block.rows &&
             ordinals[i + run] == ordinals[i] + run)
        ++run;
      for (size_t c = 0; c < block.columns.size(); ++c) {
        const size_t row_bytes = block.columns[c].spec.bytes();
        if (!(block.columns[c].spec == result.columns[c].spec)) {
          return absl::DataLossError(
              absl::StrCat(key.ToString(), " has other columns than the blocks before it"));
        }
        std::memcpy(result.columns[c].data.data() + i * row_bytes,
                    block.columns[c].data.data() + row * row_bytes, run * row_bytes);
      }
      i += run;
    }
  }
  return result;
}

absl::StatusOr<std::vector<SampleHeader>> RocksSampleStore::ReadHeaders(uint32_t dataset_number,
                                                                        int64_t first,
                                                                        int64_t count) {
  if (first < 0 || count < 0) return absl::InvalidArgumentError("a negative range of rows");
  BIF_ASSIGN_OR_RETURN(const int64_t visible_rows, VisibleRows(dataset_number));
  std::vector<SampleHeader> headers;
  if (first >= visible_rows) return headers;
  const int64_t end = first + std::min(count, visible_rows - first);
  headers.reserve(static_cast<size_t>(end - first));
  BlockCursor cursor(database_, dataset_number, BlockKind::kIdentities,
                     static_cast<size_t>(end - first));
  std::string deleted;
  int64_t deleted_chunk = -1;
  for (int64_t row = first; row < end;) {
    const auto ordinal = static_cast<uint32_t>(row);
    BIF_ASSIGN_OR_RETURN(const bool found, cursor.Find(ordinal));
    if (!found) return LostBlock(dataset_number, ordinal);
    const BlockKey key = cursor.key();
    BIF_ASSIGN_OR_RETURN(const auto identities, DecodeIdentities(key, cursor.value()));
    if (row - key.first_ordinal >= static_cast<int64_t>(identities.size()))
      return LostBlock(dataset_number, ordinal);
    for (; row < end && row - key.first_ordinal < static_cast<int64_t>(identities.size()); ++row) {
      if (row / kBitmapRows != deleted_chunk) {
        deleted_chunk = row / kBitmapRows;
        BIF_ASSIGN_OR_RETURN(
            deleted, Bitmap(DeletedRowsKey(dataset_number, static_cast<uint32_t>(deleted_chunk))));
      }
      const SampleIdentity& identity = identities[static_cast<size_t>(row - key.first_ordinal)];
      headers.push_back({std::string(identity.id), identity.digest,
                         BitIsSet(deleted, static_cast<uint32_t>(row))});
    }
  }
  return headers;
}

absl::StatusOr<std::string> RocksSampleStore::Bitmap(const RecordKey& key, const WriteSet* writes) {
  if (writes != nullptr) {
    const WriteSet::Change* pending = writes->Find(key);
    if (pending != nullptr) return pending->value;
  }
  absl::StatusOr<std::string> bitmap = catalog_.GetBytes(key);
  if (absl::IsNotFound(bitmap.status())) return std::string();
  return bitmap;
}

absl::Status RocksSampleStore::MarkDeleted(uint32_t dataset_number,
                                           const std::vector<uint32_t>& ordinals,
                                           WriteSet& writes) {
  std::vector<uint32_t> rows = ordinals;
  std::sort(rows.begin(), rows.end());
  BIF_ASSIGN_OR_RETURN(const uint32_t visible_rows, VisibleRows(dataset_number));
  if (!rows.empty() && rows.back() >= visible_rows)
    return MissingRow(dataset_number, rows.back(), visible_rows);
  for (size_t i = 0; i < rows.size();) {
    const uint32_t chunk = rows[i] / kBitmapRows;
    BIF_ASSIGN_OR_RETURN(std::string bitmap,
                         Bitmap(DeletedRowsKey(dataset_number, chunk), &writes));
    for (; i < rows.size() && rows[i] / kBitmapRows == chunk; ++i) {
      if (BitIsSet(bitmap, rows[i])) continue;
      SetBit(bitmap, rows[i]);
      BIF_ASSIGN_OR_RETURN(const std::vector<SampleHeader> header,
                           ReadHeaders(dataset_number, rows[i], 1));
      if (header.size() != 1) return LostBlock(dataset_number, rows[i]);
      writes.Delete(SampleIndexKey(dataset_number, header[0].id));
      // Another row may hold the same tensors; the digest is freed only if it leads here.
      const RecordKey digest_key = SampleDigestKey(dataset_number, ToHex(header[0].digest));
      const absl::StatusOr<uint32_t> holder = catalog_.GetU32(digest_key);
      if (holder.ok() && *holder == rows[i]) writes.Delete(digest_key);
    }
    writes.PutBytes(DeletedRowsKey(dataset_number, chunk), std::move(bitmap));
  }
  return absl::OkStatus();
}

absl::Status RocksSampleStore::DeleteDataset(uint32_t dataset_number) {
  WriteSet writes;
  writes.DeletePrefix(SampleIndexPrefix(dataset_number));
  writes.DeletePrefix(SampleDigestPrefix(dataset_number));
  writes.DeletePrefix(DeletedRowsPrefix(dataset_number));
  writes.DeletePrefix(ErasedRowsPrefix(dataset_number));
  writes.Delete(SampleExtentKey(dataset_number));
  BIF_RETURN_IF_ERROR(catalog_.Commit(writes));
  std::string begin;
  AppendBigEndian(begin, dataset_number);
  return database_.EraseRange(database_.samples(), begin, PrefixEnd(begin));
}

absl::StatusOr<std::vector<uint32_t>> RocksSampleStore::Datasets() {
  std::vector<uint32_t> datasets;
  const std::unique_ptr<rocksdb::Iterator> block(
      database_.db().NewIterator({}, database_.samples()));
  block->SeekToFirst();
  while (block->Valid()) {
    datasets.push_back(ReadBigEndian<uint32_t>(ToView(block->key()), 0));
    std::string next;
    AppendBigEndian(next, datasets.back());
    block->Seek(PrefixEnd(next));
  }
  BIF_RETURN_IF_ERROR(FromRocks(block->status(), "cannot list datasets with samples"));
  return datasets;
}

}  // namespace bif::storage
