#include "src/storage/rocksdb/rocks_trace_store.h"

#include <rocksdb/iterator.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"

namespace bif::storage {

struct RocksTraceStore::Rectangle {
  uint32_t first_slot, end_slot, first_draw, end_draw;
  const float* values;  // [draw][slot]
  TraceType type;

  // The part from the key's slot and draw on, as a tile.
  std::string Encode(const TileKey& key, uint32_t slot_end, uint32_t draw_end) const {
    const size_t stride = end_slot - first_slot;
    const TileShape shape = {static_cast<uint16_t>(slot_end - key.first_slot),
                             static_cast<uint16_t>(draw_end - key.first_draw)};
    return EncodeTile(
        key, shape, type,
        values + (key.first_draw - first_draw) * stride + (key.first_slot - first_slot), stride);
  }
};

namespace {

constexpr int64_t kScanBytes =
    1 << 20;  // a larger read is a scan: it reads ahead and spares the cache
constexpr size_t kReadaheadBytes = 512 << 10;

absl::Status CheckRange(uint32_t chain, uint32_t first_slot, uint32_t slots, uint32_t first_draw,
                        uint32_t draws) {
  constexpr uint32_t kMax = std::numeric_limits<uint32_t>::max();
  if (chain > std::numeric_limits<uint16_t>::max() || slots > kMax - first_slot ||
      draws > kMax - first_draw) {
    return absl::InvalidArgumentError(absl::StrCat("trace range too large: chain ", chain,
                                                   ", slots ", first_slot, " + ", slots, ", draws ",
                                                   first_draw, " + ", draws));
  }
  return absl::OkStatus();
}

// Calls visit(slot begin, slot end, draw begin, draw end) for each tile of a rectangle, in key
// order.
template <typename Visit>
absl::Status ForEachTile(uint32_t first_slot, uint32_t end_slot, uint32_t first_draw,
                         uint32_t end_draw, Visit visit) {
  for (uint64_t slot = first_slot; slot < end_slot; slot = (slot / kTileSlots + 1) * kTileSlots) {
    const uint64_t slot_end = std::min<uint64_t>(end_slot, (slot / kTileSlots + 1) * kTileSlots);
    for (uint64_t draw = first_draw; draw < end_draw; draw = (draw / kTileDraws + 1) * kTileDraws) {
      const uint64_t draw_end = std::min<uint64_t>(end_draw, (draw / kTileDraws + 1) * kTileDraws);
      BIF_RETURN_IF_ERROR(visit(static_cast<uint32_t>(slot), static_cast<uint32_t>(slot_end),
                                static_cast<uint32_t>(draw), static_cast<uint32_t>(draw_end)));
    }
  }
  return absl::OkStatus();
}

// Which cells of a read have been filled: 64 draws a word, since no tile crosses a multiple of
// kTileDraws.
class Coverage {
 public:
  static_assert(kTileDraws == 64);
  Coverage(uint32_t slots, uint32_t draws)
      : draws_(draws), words_(words(draws)), filled_(size_t{slots} * words(draws)) {}

  // Slots are relative to the read; draws [first, end) lie within one tile.
  void Fill(uint32_t slot, uint32_t slot_end, uint32_t first_draw, uint32_t end_draw) {
    const uint64_t mask = Mask(end_draw - first_draw) << (first_draw % kTileDraws);
    for (size_t s = slot; s < slot_end; ++s) filled_[s * words_ + first_draw / kTileDraws] |= mask;
  }
  // The first cell that is missing, as (slot, draw).
  std::optional<std::pair<uint32_t, uint32_t>> FindGap() const {
    for (size_t i = 0; i < filled_.size(); ++i) {
      const uint32_t draw = static_cast<uint32_t>(i % words_) * kTileDraws;
      const uint64_t gap = Mask(std::min(draws_ - draw, kTileDraws)) & ~filled_[i];
      if (gap != 0) {
        return std::make_pair(static_cast<uint32_t>(i / words_),
                              draw + static_cast<uint32_t>(std::countr_zero(gap)));
      }
    }
    return std::nullopt;
  }

 private:
  static size_t words(uint32_t draws) { return (size_t{draws} + kTileDraws - 1) / kTileDraws; }
  static uint64_t Mask(uint32_t draws) {
    return draws >= 64 ? ~uint64_t{0} : (uint64_t{1} << draws) - 1;
  }

  const uint32_t draws_;
  const size_t words_;
  std::vector<uint64_t> filled_;
};

}  // namespace

absl::Status RocksTraceStore::Write(const TraceArray& array, uint32_t chain, uint32_t first_slot,
                                    uint32_t slots, uint32_t first_draw, uint32_t draws,
                                    absl::Span<const float> values, TraceType type) {
  BIF_RETURN_IF_ERROR(CheckRange(chain, first_slot, slots, first_draw, draws));
  if (values.size() != size_t{slots} * draws) {
    return absl::InvalidArgumentError(absl::StrCat("traces of ", slots, " slots x ", draws,
                                                   " draws given as ", values.size(), " values"));
  }
  if (values.empty()) return absl::OkStatus();
  const Rectangle written = {first_slot,         first_slot + slots, first_draw,
                             first_draw + draws, values.data(),      type};
  const auto short_chain = static_cast<uint16_t>(chain);
  BIF_RETURN_IF_ERROR(RemoveOverlaps(array, short_chain, written));
  // Both ways are durable no later than the catalog commit that follows: a batch goes to the log
  // that this commit syncs (Database::Write), a table file is synced before it is added.
  return values.size() * sizeof(float) < kMaxBatchBytes ? WriteBatched(array, short_chain, written)
                                                        : WriteTable(array, short_chain, written);
}

absl::Status RocksTraceStore::RemoveOverlaps(const TraceArray& array, uint16_t chain,
                                             const Rectangle& written) {
  const std::string prefix = TilePrefix(array, chain);
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice upper = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  // Tiles beside the range are looked at, too: as many bytes as are about to be written.
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> tile(
      database_.db().NewIterator(options, database_.traces()));
  rocksdb::WriteBatch batch;
  const auto seek = [&](uint64_t slot, uint32_t draw) {
    if (slot > std::numeric_limits<uint32_t>::max()) slot = std::numeric_limits<uint32_t>::max();
    tile->Seek(TileKey{array, chain, static_cast<uint32_t>(slot), draw}.Encode());
  };
  // Tiles of one first slot lie together, so what cannot overlap is jumped over instead of read.
  const uint32_t earliest_draw = written.first_draw / kTileDraws * kTileDraws;
  seek(written.first_slot / kTileSlots * kTileSlots, earliest_draw);
  while (tile->Valid()) {
    const TileKey key = TileKey::Decode(ToView(tile->key()));
    if (key.first_slot >= written.end_slot) break;
    if (key.first_draw >= written.end_draw) {
      seek(uint64_t{key.first_slot} + 1, earliest_draw);
      continue;
    }
    if (key.first_draw < earliest_draw) {
      seek(key.first_slot, earliest_draw);
      continue;
    }
    // A tile that begins where one of the new ones does is replaced by it, in one step.
    const bool replaced =
        (key.first_slot == written.first_slot || key.first_slot % kTileSlots == 0) &&
        key.first_slot >= written.first_slot &&
        (key.first_draw == written.first_draw || key.first_draw % kTileDraws == 0) &&
        key.first_draw >= written.first_draw;
    const absl::StatusOr<TileShape> shape = PeekTileShape(key, ToView(tile->value()));
    // One that does not say what it covers is dropped as well: these rows are being written anew.
    const bool overlaps = !shape.ok() || (key.first_slot + shape->slots > written.first_slot &&
                                          key.first_draw + shape->draws > written.first_draw);
    if (overlaps && !replaced) batch.Delete(database_.traces(), tile->key());
    tile->Next();
  }
  BIF_RETURN_IF_ERROR(FromRocks(tile->status(), "cannot look for leftover tiles"));
  if (batch.Count() == 0) return absl::OkStatus();
  return database_.Write(batch, /*sync=*/false, "cannot remove leftover tiles");
}

absl::Status RocksTraceStore::WriteBatched(const TraceArray& array, uint16_t chain,
                                           const Rectangle& written) {
  rocksdb::WriteBatch batch;
  BIF_RETURN_IF_ERROR(ForEachTile(
      written.first_slot, written.end_slot, written.first_draw, written.end_draw,
      [&](uint32_t slot, uint32_t slot_end, uint32_t draw, uint32_t draw_end) {
        const TileKey key = {array, chain, slot, draw};
        return FromRocks(
            batch.Put(database_.traces(), key.Encode(), written.Encode(key, slot_end, draw_end)),
            "cannot collect tiles");
      }));
  return database_.Write(batch, /*sync=*/false, "cannot write traces");
}

absl::Status RocksTraceStore::WriteTable(const TraceArray& array, uint16_t chain,
                                         const Rectangle& written) {
  const std::string path = database_.NewTemporaryPath();
  const std::unique_ptr<rocksdb::SstFileWriter> table = database_.NewTableFile(database_.traces());
  std::string first, last;  // keys
  absl::Status status = FromRocks(table->Open(path), "cannot make a table file for traces");
  if (status.ok()) {
    status =
        ForEachTile(written.first_slot, written.end_slot, written.first_draw, written.end_draw,
                    [&](uint32_t slot, uint32_t slot_end, uint32_t draw, uint32_t draw_end) {
                      const TileKey key = {array, chain, slot, draw};
                      last = key.Encode();
                      if (first.empty()) first = last;
                      return FromRocks(table->Put(last, written.Encode(key, slot_end, draw_end)),
                                       "cannot write traces");
                    });
  }
  if (status.ok()) status = FromRocks(table->Finish(), "cannot finish a table file of traces");
  if (status.ok()) return database_.Ingest(database_.traces(), path, first, last);
  ::unlink(path.c_str());
  return status;
}

absl::Status RocksTraceStore::Read(const TraceArray& array, uint32_t chain, uint32_t first_slot,
                                   uint32_t slots, uint32_t draws, int64_t row_stride,
                                   int64_t column, absl::Span<float> values) {
  BIF_RETURN_IF_ERROR(CheckRange(chain, first_slot, slots, 0, draws));
  if (slots == 0 || draws == 0) return absl::OkStatus();
  if (column < 0 || row_stride < column + draws ||
      static_cast<uint64_t>(values.size()) < uint64_t{slots - 1} * row_stride + column + draws) {
    return absl::InvalidArgumentError(absl::StrCat("rows of ", draws, " draws at column ", column,
                                                   " with stride ", row_stride, " do not fit ",
                                                   values.size(), " values"));
  }
  const auto short_chain = static_cast<uint16_t>(chain);
  const uint32_t end_slot = first_slot + slots;
  const std::string begin =
      TileKey{array, short_chain, first_slot / kTileSlots * kTileSlots, 0}.Encode();
  const std::string end = TileKey{array, short_chain, end_slot, 0}.Encode();
  const rocksdb::Slice upper = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  if (int64_t{slots} * draws * static_cast<int64_t>(sizeof(float)) >= kScanBytes) {
    options.fill_cache = false;
    options.readahead_size = kReadaheadBytes;
  }
  const std::unique_ptr<rocksdb::Iterator> tile(
      database_.db().NewIterator(options, database_.traces()));

  Coverage coverage(slots, draws);
  TileReader reader;
  tile->Seek(begin);
  while (tile->Valid()) {
    const TileKey key = TileKey::Decode(ToView(tile->key()));
    if (key.first_draw >= draws) {  // nothing more of these slots is asked for
      tile->Seek(TileKey{array, short_chain, key.first_slot + 1, 0}.Encode());
      continue;
    }
    BIF_ASSIGN_OR_RETURN(const TileShape shape, PeekTileShape(key, ToView(tile->value())));
    const uint32_t slot = std::max(key.first_slot, first_slot);
    const uint32_t slot_end = std::min(key.first_slot + shape.slots, end_slot);
    if (slot >= slot_end) {
      tile->Next();
      continue;
    }
    BIF_RETURN_IF_ERROR(reader.Open(key, ToView(tile->value())));
    const uint32_t draw_end = std::min(key.first_draw + shape.draws, draws);
    for (uint32_t s = slot; s < slot_end; ++s) {
      reader.CopyRow(
          s - key.first_slot, 0, draw_end - key.first_draw,
          values.data() + int64_t{s - first_slot} * row_stride + column + key.first_draw);
    }
    coverage.Fill(slot - first_slot, slot_end - first_slot, key.first_draw, draw_end);
    tile->Next();
  }
  const TileKey range = {array, short_chain, first_slot, 0};
  BIF_RETURN_IF_ERROR(
      FromRocks(tile->status(), absl::StrCat("cannot read traces from ", range.ToString(), " on")));
  if (const auto gap = coverage.FindGap()) {
    return absl::DataLossError(
        absl::StrCat(TileKey{array, short_chain, first_slot + gap->first, gap->second}.ToString(),
                     " is missing"));
  }
  return absl::OkStatus();
}

absl::Status RocksTraceStore::DeletePosterior(uint64_t posterior) {
  std::string begin;
  AppendBigEndian(begin, posterior);
  return database_.EraseRange(database_.traces(), begin, PrefixEnd(begin));
}

absl::StatusOr<std::vector<uint64_t>> RocksTraceStore::Posteriors() {
  std::vector<uint64_t> posteriors;
  const std::unique_ptr<rocksdb::Iterator> tile(database_.db().NewIterator({}, database_.traces()));
  tile->SeekToFirst();
  while (tile->Valid()) {
    posteriors.push_back(ReadBigEndian<uint64_t>(ToView(tile->key()), 0));
    std::string next;
    AppendBigEndian(next, posteriors.back());
    tile->Seek(PrefixEnd(next));
  }
  BIF_RETURN_IF_ERROR(FromRocks(tile->status(), "cannot list posteriors with traces"));
  return posteriors;
}

}  // namespace bif::storage
