#include "src/storage/trace_tile.h"

#include <zstd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/byte_planes.h"

namespace bif::storage {
namespace {

constexpr uint32_t kMagic = 0x454c4954;  // "TILE"
constexpr uint8_t kVersion = 1;
constexpr uint8_t kCodecPlanes = 1;
constexpr uint8_t kDtypeFloat32 = 4;
constexpr uint8_t kDtypeFloat16 = 6;
constexpr int kZstdLevel = 1;

struct Header {
  uint32_t magic;
  uint8_t version;
  uint8_t codec;
  uint8_t dtype;
  uint8_t reserved;
  uint16_t slots;
  uint16_t draws;
  uint32_t plane_bytes[4];  // as stored; slots * draws: not compressed. float16: two, then 0
  uint32_t reserved2;
  uint64_t checksum;  // last: covers what stands before it, the key, and the payload
};
static_assert(sizeof(Header) == 40);

uint64_t TileChecksum(const TileKey& key, const Header& header, std::string_view payload) {
  std::string covered = key.Encode();  // a tile under a wrong key is damage, too
  covered.append(reinterpret_cast<const char*>(&header), offsetof(Header, checksum));
  AppendBigEndian(covered, Checksum(payload));
  return Checksum(covered);
}

absl::Status Damaged(const TileKey& key, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat(key.ToString(), " is damaged: ", absl::string_view(what.data(), what.size())));
}

absl::StatusOr<Header> ReadHeader(const TileKey& key, std::string_view value) {
  Header header;
  if (value.size() < sizeof(header)) return Damaged(key, "it is cut off");
  std::memcpy(&header, value.data(), sizeof(header));
  if (header.magic != kMagic) return Damaged(key, "wrong magic number");
  if (header.version != kVersion || header.codec != kCodecPlanes ||
      (header.dtype != kDtypeFloat32 && header.dtype != kDtypeFloat16)) {
    return Damaged(key, absl::StrCat("unknown version ", header.version, ", codec ", header.codec,
                                     " or dtype ", header.dtype));
  }
  if (header.slots == 0 || header.slots > kTileSlots || header.draws == 0 ||
      header.draws > kTileDraws) {
    return Damaged(key, absl::StrCat("shape ", header.slots, " x ", header.draws));
  }
  return header;
}

size_t PlanesOf(TraceType type) { return type == TraceType::kFloat16 ? 2 : 4; }

// One compressor and one decompressor a thread: making one costs more than a tile.
ZSTD_CCtx* Compressor() {
  static thread_local const auto context = [] {
    std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> made(ZSTD_createCCtx(), &ZSTD_freeCCtx);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_compressionLevel, kZstdLevel);
    // Exponents of noise repeat by chance only: without short matches a plane is as small, and read
    // a fifth faster.
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_minMatch, 7);
    return made;
  }();
  return context.get();
}
ZSTD_DCtx* Decompressor() {
  static thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(
      ZSTD_createDCtx(), &ZSTD_freeDCtx);
  return context.get();
}

// Appends the plane, compressed if that saves at least an eighth; below that, reading it is not
// worth the time.
uint32_t AppendPlane(std::string_view plane, std::string& value) {
  constexpr size_t kSmallestCompressed = 256;
  const size_t before = value.size();
  if (plane.size() >= kSmallestCompressed) {
    const size_t limit = plane.size() - plane.size() / 8;
    value.resize(before + limit);
    const size_t packed =
        ZSTD_compress2(Compressor(), value.data() + before, limit, plane.data(), plane.size());
    if (!ZSTD_isError(packed) && packed < limit) {
      value.resize(before + packed);
      return static_cast<uint32_t>(packed);
    }
    value.resize(before);
  }
  value.append(plane);
  return static_cast<uint32_t>(plane.size());
}

}  // namespace

std::string TilePrefix(const TraceArray& array, uint16_t chain) {
  std::string prefix;
  prefix.reserve(kTileKeyBytes);
  AppendBigEndian(prefix, array.posterior);
  AppendBigEndian(prefix, array.array);
  AppendBigEndian(prefix, array.dataset);
  AppendBigEndian(prefix, chain);
  return prefix;
}

std::string TileKey::Encode() const {
  std::string bytes = TilePrefix(array, chain);
  AppendBigEndian(bytes, first_slot);
  AppendBigEndian(bytes, first_draw);
  return bytes;
}

TileKey TileKey::Decode(std::string_view bytes) {
  return {{ReadBigEndian<uint64_t>(bytes, 0), ReadBigEndian<uint32_t>(bytes, 8),
           ReadBigEndian<uint32_t>(bytes, 12)},
          ReadBigEndian<uint16_t>(bytes, 16),
          ReadBigEndian<uint32_t>(bytes, 18),
          ReadBigEndian<uint32_t>(bytes, 22)};
}

std::string TileKey::ToString() const {
  return absl::StrCat("tile posterior ", array.posterior, " array ", array.array, " dataset ",
                      array.dataset, " chain ", chain, " slot ", first_slot, " draw ", first_draw);
}

std::string EncodeTile(const TileKey& key, TileShape shape, TraceType type, const float* values,
                       size_t draw_stride) {
  const size_t elements = size_t{shape.slots} * shape.draws;
  static thread_local std::vector<float> rows(kMaxTileElements);
  static thread_local std::vector<char> planes(4 * kMaxTileElements);
  TransposeToRows(values, draw_stride, shape.slots, shape.draws, rows.data());
  if (type == TraceType::kFloat16) {
    SplitHalves(rows.data(), elements, {planes.data(), planes.data() + elements});
  } else {
    SplitPlanes(rows.data(), elements,
                {planes.data(), planes.data() + elements, planes.data() + 2 * elements,
                 planes.data() + 3 * elements});
  }

  Header header = {};
  header.magic = kMagic;
  header.version = kVersion;
  header.codec = kCodecPlanes;
  header.dtype = type == TraceType::kFloat16 ? kDtypeFloat16 : kDtypeFloat32;
  header.slots = shape.slots;
  header.draws = shape.draws;
  std::string value(sizeof(header), '\0');
  value.reserve(sizeof(header) + PlanesOf(type) * elements);
  for (size_t p = 0; p < PlanesOf(type); ++p) {
    header.plane_bytes[p] = AppendPlane({planes.data() + p * elements, elements}, value);
  }
  header.checksum = TileChecksum(key, header, std::string_view(value).substr(sizeof(header)));
  std::memcpy(value.data(), &header, sizeof(header));
  return value;
}

absl::StatusOr<TileShape> PeekTileShape(const TileKey& key, std::string_view value) {
  BIF_ASSIGN_OR_RETURN(const Header header, ReadHeader(key, value));
  return TileShape{header.slots, header.draws};
}

absl::Status TileReader::Open(const TileKey& key, std::string_view value) {
  BIF_ASSIGN_OR_RETURN(const Header header, ReadHeader(key, value));
  std::string_view payload = value.substr(sizeof(header));
  if (header.checksum != TileChecksum(key, header, payload)) return Damaged(key, "wrong checksum");
  shape_ = {header.slots, header.draws};
  type_ = header.dtype == kDtypeFloat16 ? TraceType::kFloat16 : TraceType::kFloat32;
  const size_t elements = size_t{header.slots} * header.draws;
  for (size_t p = 0; p < PlanesOf(type_); ++p) {
    const size_t stored = header.plane_bytes[p];
    if (stored > payload.size()) return Damaged(key, "a plane is cut off");
    planes_[p] = payload.data();
    if (stored != elements) {
      unpacked_[p].resize(kMaxTileElements);
      const size_t got = ZSTD_decompressDCtx(Decompressor(), unpacked_[p].data(),
                                             unpacked_[p].size(), payload.data(), stored);
      if (ZSTD_isError(got) || got != elements) return Damaged(key, "a plane does not decompress");
      planes_[p] = unpacked_[p].data();
    }
    payload.remove_prefix(stored);
  }
  if (!payload.empty()) return Damaged(key, "bytes after the last plane");
  return absl::OkStatus();
}

void TileReader::CopyRow(uint32_t slot, uint32_t first_draw, uint32_t draws, float* row) const {
  const size_t at = size_t{slot} * shape_.draws + first_draw;
  if (type_ == TraceType::kFloat16) {
    JoinHalves({planes_[0] + at, planes_[1] + at}, draws, row);
  } else {
    JoinPlanes({planes_[0] + at, planes_[1] + at, planes_[2] + at, planes_[3] + at}, draws, row);
  }
}

}  // namespace bif::storage
