// Finds the blocks of one dataset and kind. Thread-compatible; for the time of one call, because it
// keeps files alive.
#pragma once

#include <rocksdb/iterator.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/rocksdb/database.h"
#include "src/storage/sample_block.h"

namespace bif::storage {

// A row that must be there is in no block.
inline absl::Status LostBlock(uint32_t dataset, uint32_t ordinal) {
  return absl::DataLossError(
      absl::StrCat("the block with row ", ordinal, " of dataset ", dataset, " is missing"));
}

class BlockCursor {
 public:
  // `rows`: how many are about to be read. More than a block holds is a scan: it reads ahead and
  // spares the cache. Training rows are read once and then held by the device; the cache would hold
  // them a second time.
  BlockCursor(Database& database, uint32_t dataset, BlockKind kind, size_t rows)
      : dataset_(dataset), kind_(kind) {
    lower_ = BlockKey{dataset, kind, 0}.Encode();
    upper_ = PrefixEnd(lower_.substr(0, kBlockKeyBytes - sizeof(uint32_t)));
    lower_slice_ = lower_;
    upper_slice_ = upper_;
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower_slice_;
    options.iterate_upper_bound = &upper_slice_;
    if (rows > kScanRows) {
      options.fill_cache = false;
      options.readahead_size = kReadaheadBytes;
    }
    iterator_.reset(database.db().NewIterator(options, database.samples()));
  }
  BlockCursor(const BlockCursor&) = delete;
  BlockCursor& operator=(const BlockCursor&) = delete;

  // Moves to the last block that begins at or before `ordinal`; false if there is none. Cheap if
  // the asker goes upwards.
  absl::StatusOr<bool> Find(uint32_t ordinal) {
    // The next block is the usual one of a scan; where it begins exactly at the ordinal, no search
    // is needed.
    if (iterator_->Valid()) iterator_->Next();
    if (!iterator_->Valid() || key().first_ordinal != ordinal) {
      iterator_->SeekForPrev(BlockKey{dataset_, kind_, ordinal}.Encode());
    }
    BIF_RETURN_IF_ERROR(
        FromRocks(iterator_->status(),
                  absl::StrCat("cannot read the ", BlockKey{dataset_, kind_, ordinal}.ToString())));
    return iterator_->Valid();
  }
  BlockKey key() const { return BlockKey::Decode(ToView(iterator_->key())); }
  std::string_view value() const { return ToView(iterator_->value()); }

 private:
  static constexpr size_t kScanRows = 256;
  static constexpr size_t kReadaheadBytes = 512 << 10;

  const uint32_t dataset_;
  const BlockKind kind_;
  std::string lower_, upper_;
  rocksdb::Slice lower_slice_, upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace bif::storage
