// Tiles of traces, with their checksum put right first: what a tile says of its shape and planes
// has to stand by itself; and the numbers of one that is read, written down again, are the same.
#include <vector>

#include "src/base/digest.h"
#include "src/storage/big_endian.h"
#include "src/storage/trace_tile.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

const storage::TileKey kKey = {{.posterior = 3, .array = 0x10000, .dataset = 2}, 1, 256, 64};
constexpr size_t kHeaderBytes = 40;
constexpr size_t kChecksumAt = 32;

// docs/storage_format.md: key, bytes 0-31, checksum of the payload as u64 big endian.
std::string Sealed(std::string_view value) {
  std::string tile(value);
  if (tile.size() < kHeaderBytes) return tile;
  std::string covered = kKey.Encode() + tile.substr(0, kChecksumAt);
  storage::AppendBigEndian(covered, Checksum(std::string_view(tile).substr(kHeaderBytes)));
  const uint64_t checksum = Checksum(covered);
  std::memcpy(tile.data() + kChecksumAt, &checksum, sizeof(checksum));
  return tile;
}

// [slot][draw]. Empty if the tile is refused.
std::vector<float> Values(std::string_view value, storage::TileShape& shape) {
  storage::TileReader reader;
  const absl::Status opened = reader.Open(kKey, value);
  if (!opened.ok()) {
    fuzz::RequireRefusal(opened, absl::StatusCode::kDataLoss);
    return {};
  }
  shape = reader.shape();
  fuzz::Require(shape.slots >= 1 && shape.slots <= storage::kTileSlots && shape.draws >= 1 &&
                    shape.draws <= storage::kTileDraws,
                "a tile is at most 256 x 64");
  const auto peeked = storage::PeekTileShape(kKey, value);
  fuzz::Require(peeked.ok() && peeked->slots == shape.slots && peeked->draws == shape.draws,
                "the shape is the one that was peeked");
  std::vector<float> values(size_t{shape.slots} * shape.draws);
  for (uint32_t slot = 0; slot < shape.slots; ++slot)
    reader.CopyRow(slot, 0, shape.draws, values.data() + size_t{slot} * shape.draws);
  return values;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::Input(data, size).rest();
  storage::TileShape shape;
  Values(bytes, shape);
  const std::vector<float> values = Values(Sealed(bytes), shape);
  if (values.empty()) return 0;

  std::vector<float> by_draw(values.size());
  for (size_t slot = 0; slot < shape.slots; ++slot) {
    for (size_t draw = 0; draw < shape.draws; ++draw)
      by_draw[draw * shape.slots + slot] = values[slot * shape.draws + draw];
  }
  storage::TileShape again_shape;
  const std::string again =
      storage::EncodeTile(kKey, shape, storage::TraceType::kFloat32, by_draw.data(), shape.slots);
  const std::vector<float> second = Values(again, again_shape);
  fuzz::Require(second.size() == values.size() &&
                    std::memcmp(second.data(), values.data(), 4 * values.size()) == 0,
                "a tile's numbers, written down again, are the same bits");
  return 0;
}
