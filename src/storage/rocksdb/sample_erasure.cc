// RocksSampleStore: what happens to the bytes of deleted rows.
//
// A tensor block is replaced by one for each run of rows that stay, in one step, so that a crash
// leaves either all of a block or all of what replaces it. An identity block keeps its rows, the
// erased ones with an empty id and a digest of zeros.
#include <algorithm>
#include <map>

#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/rocksdb/block_cursor.h"
#include "src/storage/rocksdb/rocks_sample_store.h"
#include "src/storage/row_bitmap.h"
#include "src/storage/sample_block.h"

namespace bif::storage {

absl::StatusOr<std::vector<uint32_t>> RocksSampleStore::Living(uint32_t dataset_number,
                                                               std::vector<uint32_t> ordinals) {
  std::map<uint32_t, std::string> bitmaps;  // by chunk
  std::vector<uint32_t> living;
  for (const uint32_t ordinal : ordinals) {
    const uint32_t chunk = ordinal / kBitmapRows;
    auto known = bitmaps.find(chunk);
    if (known == bitmaps.end()) {
      BIF_ASSIGN_OR_RETURN(std::string deleted, Bitmap(DeletedRowsKey(dataset_number, chunk)));
      known = bitmaps.emplace(chunk, std::move(deleted)).first;
    }
    if (!BitIsSet(known->second, ordinal)) living.push_back(ordinal);
  }
  return living;
}

absl::StatusOr<std::vector<uint32_t>> RocksSampleStore::NotErased(uint32_t dataset_number) {
  BIF_ASSIGN_OR_RETURN(const auto chunks,
                       catalog_.ScanBytes(DeletedRowsPrefix(dataset_number), "", 0));
  std::vector<uint32_t> rows;
  for (const auto& [suffix, deleted] : chunks) {
    const auto chunk = ReadBigEndian<uint32_t>(suffix, 0);
    BIF_ASSIGN_OR_RETURN(const std::string erased, Bitmap(ErasedRowsKey(dataset_number, chunk)));
    for (uint32_t r = 0; r < kBitmapRows; ++r) {
      if (BitIsSet(deleted, r) && !BitIsSet(erased, r)) rows.push_back(chunk * kBitmapRows + r);
    }
  }
  return rows;
}

absl::Status RocksSampleStore::Erase(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                                     WriteSet& writes) {
  BIF_ASSIGN_OR_RETURN(const std::vector<uint32_t> living, Living(dataset_number, ordinals));
  if (!living.empty() || !std::is_sorted(ordinals.begin(), ordinals.end()))
    return absl::InvalidArgumentError("only deleted rows can be erased, in ascending order");
  BIF_RETURN_IF_ERROR(EraseTensors(dataset_number, ordinals));
  BIF_RETURN_IF_ERROR(EraseIdentities(dataset_number, ordinals));
  for (size_t i = 0; i < ordinals.size();) {
    const RecordKey key = ErasedRowsKey(dataset_number, ordinals[i] / kBitmapRows);
    BIF_ASSIGN_OR_RETURN(std::string bitmap, Bitmap(key, &writes));
    const uint32_t chunk = ordinals[i] / kBitmapRows;
    for (; i < ordinals.size() && ordinals[i] / kBitmapRows == chunk; ++i)
      SetBit(bitmap, ordinals[i]);
    writes.PutBytes(key, std::move(bitmap));
  }
  return absl::OkStatus();
}

absl::Status RocksSampleStore::EraseTensors(uint32_t dataset_number,
                                            const std::vector<uint32_t>& ordinals) {
  BlockCursor cursor(database_, dataset_number, BlockKind::kTensors, ordinals.size());
  for (size_t i = 0; i < ordinals.size();) {
    BIF_ASSIGN_OR_RETURN(const bool found, cursor.Find(ordinals[i]));
    uint32_t rows = 0;
    BlockKey key;
    if (found) {
      key = cursor.key();
      BIF_ASSIGN_OR_RETURN(const auto block, DecodeTensors(key, cursor.value()));
      rows = static_cast<uint32_t>(block.rows);
    }
    if (!found || ordinals[i] - key.first_ordinal >= rows) {  // erased before
      ++i;
      continue;
    }
    std::vector<uint32_t> staying;
    for (uint32_t ordinal = key.first_ordinal; ordinal < key.first_ordinal + rows; ++ordinal) {
      if (i < ordinals.size() && ordinals[i] == ordinal) {
        ++i;
      } else {
        staying.push_back(ordinal);
      }
    }
    rocksdb::WriteBatch batch;
    BIF_RETURN_IF_ERROR(
        FromRocks(batch.Delete(database_.samples(), key.Encode()), "cannot erase samples"));
    BIF_ASSIGN_OR_RETURN(const SampleBatch kept, Read(dataset_number, staying));
    for (size_t begin = 0; begin < staying.size();) {
      size_t end = begin + 1;
      while (end < staying.size() && staying[end] == staying[end - 1] + 1) ++end;
      const BlockKey piece = {dataset_number, BlockKind::kTensors, staying[begin]};
      BIF_RETURN_IF_ERROR(
          FromRocks(batch.Put(database_.samples(), piece.Encode(),
                              EncodeTensors(piece, kept, static_cast<int64_t>(begin),
                                            static_cast<int64_t>(end - begin))),
                    "cannot erase samples"));
      begin = end;
    }
    BIF_RETURN_IF_ERROR(database_.Write(batch, /*sync=*/false, "cannot erase samples"));
  }
  return absl::OkStatus();
}

absl::Status RocksSampleStore::EraseIdentities(uint32_t dataset_number,
                                               const std::vector<uint32_t>& ordinals) {
  BlockCursor cursor(database_, dataset_number, BlockKind::kIdentities, ordinals.size());
  for (size_t i = 0; i < ordinals.size();) {
    BIF_ASSIGN_OR_RETURN(const bool found, cursor.Find(ordinals[i]));
    if (!found) return LostBlock(dataset_number, ordinals[i]);
    const BlockKey key = cursor.key();
    BIF_ASSIGN_OR_RETURN(std::vector<SampleIdentity> identities,
                         DecodeIdentities(key, cursor.value()));
    const uint32_t end = key.first_ordinal + static_cast<uint32_t>(identities.size());
    if (ordinals[i] >= end) return LostBlock(dataset_number, ordinals[i]);
    for (; i < ordinals.size() && ordinals[i] < end; ++i)
      identities[ordinals[i] - key.first_ordinal] = SampleIdentity{};
    rocksdb::WriteBatch batch;
    BIF_RETURN_IF_ERROR(
        FromRocks(batch.Put(database_.samples(), key.Encode(), EncodeIdentities(key, identities)),
                  "cannot erase samples"));
    BIF_RETURN_IF_ERROR(database_.Write(batch, /*sync=*/false, "cannot erase samples"));
  }
  return absl::OkStatus();
}

absl::Status RocksSampleStore::Compact(uint32_t dataset_number, uint32_t first, uint32_t last,
                                       const CancelToken& cancel) {
  // A block with `first` begins at the multiple of the block size before it, or later.
  const uint32_t begin = first / kIdentityBlockRows * kIdentityBlockRows;
  for (const BlockKind kind : {BlockKind::kIdentities, BlockKind::kTensors}) {
    std::string end = BlockKey{dataset_number, kind, last}.Encode();
    end.push_back('\0');  // the first key behind it
    BIF_RETURN_IF_ERROR(database_.CompactRange(
        database_.samples(), BlockKey{dataset_number, kind, begin}.Encode(), end, cancel.flag()));
  }
  return absl::OkStatus();
}

}  // namespace bif::storage
