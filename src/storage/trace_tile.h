// A tile of traces as bytes: the value of one key of the column family `traces`. Pure functions,
// thread-safe.
//
// Within a tile, values lie slot-major (element = slot * draws + draw) in byte planes: plane p
// holds byte p of every element, of a float (four planes) or of a half (two). Signs, exponents and
// high mantissa bits lie in the last planes and compress (zstd-1); the rest is noise and is stored
// as it is, so that reading spends no time on it. docs/storage_format.md has the layout and the
// figures.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/storage/trace_store.h"

namespace bif::storage {

inline constexpr size_t kTileKeyBytes = 26;
inline constexpr size_t kMaxTileElements = size_t{kTileSlots} * kTileDraws;

// Where a tile lies: its key on disk is these fields, big endian, in this order.
struct TileKey {
  TraceArray array;
  uint16_t chain = 0;
  uint32_t first_slot = 0;
  uint32_t first_draw = 0;

  std::string Encode() const;                     // kTileKeyBytes bytes
  static TileKey Decode(std::string_view bytes);  // kTileKeyBytes bytes
  std::string ToString()
      const;  // for messages: "tile posterior 3 array 1 dataset 2 chain 0 slot 256 draw 64"
};

// The beginning of all keys of one chain.
std::string TilePrefix(const TraceArray& array, uint16_t chain);

struct TileShape {
  uint16_t slots = 0;
  uint16_t draws = 0;
};

// values[draw * draw_stride + slot] for shape.draws draws of shape.slots slots, as a stored value.
// At most 256 x 64.
std::string EncodeTile(const TileKey& key, TileShape shape, TraceType type, const float* values,
                       size_t draw_stride);

// Only the shape, unverified but within bounds: to tell which cells a tile covers without decoding
// it.
absl::StatusOr<TileShape> PeekTileShape(const TileKey& key, std::string_view value);

// A verified tile. Decodes rows straight into the caller's memory. Refers to `value`, which must
// outlive it. Reusing one reader for many tiles saves allocations. Thread-compatible.
class TileReader {
 public:
  // DATA_LOSS naming the tile if the checksum or the layout is wrong.
  absl::Status Open(const TileKey& key, std::string_view value);
  TileShape shape() const { return shape_; }
  // Draws [first_draw, first_draw + draws) of one slot, both relative to the tile.
  void CopyRow(uint32_t slot, uint32_t first_draw, uint32_t draws, float* row) const;

 private:
  TileShape shape_;
  TraceType type_ = TraceType::kFloat32;
  std::array<const char*, 4> planes_ = {};  // two of them with kFloat16
  std::array<std::string, 4> unpacked_;     // planes that were compressed
};

}  // namespace bif::storage
