#include "src/storage/sample_block.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/byte_codec.h"

namespace bif::storage {
namespace {

constexpr uint32_t kMagic = 0x4b4c4253;  // "SBLK"
constexpr int64_t kTensorBlockBytes = 1 << 20;
constexpr size_t kChecksumOffset = 12;

// What is written; older blocks are read. Version 2 of tensor blocks knows variable columns.
uint8_t NewestVersion(BlockKind kind) { return kind == BlockKind::kTensors ? 2 : 1; }

// magic u32 | version u8 | kind u8 | columns u16 | rows u32 | checksum u64
void PutHeader(ByteWriter& out, BlockKind kind, size_t columns, size_t rows) {
  out.Put(kMagic);
  out.Put(NewestVersion(kind));
  out.Put(static_cast<uint8_t>(kind));
  out.Put(static_cast<uint16_t>(columns));
  out.Put(static_cast<uint32_t>(rows));
  out.Put(uint64_t{0});
}

// Covers the key too: a block under a wrong key is damage.
uint64_t BlockChecksum(const BlockKey& key, std::string_view value) {
  std::string covered = key.Encode();
  covered.append(value.substr(0, kChecksumOffset));
  AppendBigEndian(covered, Checksum(value.substr(kChecksumOffset + sizeof(uint64_t))));
  return Checksum(covered);
}

std::string Seal(const BlockKey& key, ByteWriter& out) {
  out.Patch(kChecksumOffset, BlockChecksum(key, out.bytes()));
  return out.Take();
}

absl::Status Damaged(const BlockKey& key, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat(key.ToString(), " is damaged: ", absl::string_view(what.data(), what.size())));
}

struct Header {
  uint8_t version;
  uint16_t columns;
  uint32_t rows;
};

absl::StatusOr<Header> GetHeader(const BlockKey& key, std::string_view value, ByteReader& in) {
  const uint32_t magic = in.Get<uint32_t>();
  const uint8_t version = in.Get<uint8_t>();
  const uint8_t kind = in.Get<uint8_t>();
  Header header = {version, in.Get<uint16_t>(), in.Get<uint32_t>()};
  const uint64_t checksum = in.Get<uint64_t>();
  if (in.failed()) return Damaged(key, "it is cut off");
  if (magic != kMagic || version < 1 || version > NewestVersion(key.kind) ||
      kind != static_cast<uint8_t>(key.kind)) {
    return Damaged(key, "wrong magic number, version or kind");
  }
  if (checksum != BlockChecksum(key, value)) return Damaged(key, "wrong checksum");
  return header;
}

}  // namespace

int64_t TensorBlockRows(const SampleBatch& batch, int64_t first, uint32_t ordinal) {
  const int64_t most = std::min(batch.rows - first, kBlockRows - ordinal % kBlockRows);
  int64_t bytes = 0;
  for (int64_t rows = 0; rows < most; ++rows) {
    for (const Column& column : batch.columns)
      bytes += static_cast<int64_t>(column.Row(first + rows).size());
    if (bytes > kTensorBlockBytes) return std::max<int64_t>(1, rows);
  }
  return most;
}

std::string BlockKey::Encode() const {
  std::string bytes;
  AppendBigEndian(bytes, dataset);
  AppendBigEndian(bytes, static_cast<uint8_t>(kind));
  AppendBigEndian(bytes, first_ordinal);
  return bytes;
}

BlockKey BlockKey::Decode(std::string_view bytes) {
  return {ReadBigEndian<uint32_t>(bytes, 0), static_cast<BlockKind>(bytes[4]),
          ReadBigEndian<uint32_t>(bytes, 5)};
}

std::string BlockKey::ToString() const {
  return absl::StrCat(kind == BlockKind::kTensors ? "tensor" : "identity", " block of dataset ",
                      dataset, " at row ", first_ordinal);
}

std::string EncodeIdentities(const BlockKey& key, const std::vector<SampleIdentity>& identities) {
  ByteWriter out;
  PutHeader(out, BlockKind::kIdentities, 0, identities.size());
  for (const SampleIdentity& identity : identities) {
    out.PutBytes({reinterpret_cast<const char*>(identity.digest.data()), identity.digest.size()});
    out.PutShortText(identity.id);
  }
  return Seal(key, out);
}

std::string EncodeTensors(const BlockKey& key, const SampleBatch& batch, int64_t first,
                          int64_t rows) {
  ByteWriter out;
  size_t bytes = 64;
  for (const Column& column : batch.columns)
    bytes += 64 + column.spec.name.size() + column.Rows(first, rows).size() + 4 * rows;
  out.Reserve(bytes);
  PutHeader(out, BlockKind::kTensors, batch.columns.size(), static_cast<size_t>(rows));
  for (const Column& column : batch.columns) {
    out.PutShortText(column.spec.name);
    out.Put(static_cast<uint8_t>(column.spec.dtype));
    out.Put(static_cast<uint8_t>(column.spec.shape.size()));
    for (const int64_t dimension : column.spec.shape) out.Put(dimension);
  }
  for (const Column& column : batch.columns) {
    if (column.spec.variable()) {
      for (int64_t row = first; row < first + rows; ++row)
        out.Put(static_cast<uint32_t>(column.RowShape(row)[0]));
    }
    const absl::Span<const std::byte> data = column.Rows(first, rows);
    out.PutBytes({reinterpret_cast<const char*>(data.data()), data.size()});
  }
  return Seal(key, out);
}

absl::StatusOr<std::vector<SampleIdentity>> DecodeIdentities(const BlockKey& key,
                                                             std::string_view value) {
  ByteReader in(value);
  BIF_ASSIGN_OR_RETURN(const Header header, GetHeader(key, value, in));
  std::vector<SampleIdentity> identities(std::min<size_t>(header.rows, kBlockRows));
  for (SampleIdentity& identity : identities) {
    const std::string_view digest = in.GetBytes(identity.digest.size());
    if (!in.failed()) std::memcpy(identity.digest.data(), digest.data(), digest.size());
    identity.id = in.GetShortText();
  }
  if (in.failed() || !in.rest().empty() || identities.size() != header.rows)
    return Damaged(key, "wrong length");
  if (header.columns != 0) return Damaged(key, "identities have no columns");
  return identities;
}

absl::StatusOr<SampleBatch> DecodeTensors(const BlockKey& key, std::string_view value) {
  ByteReader in(value);
  BIF_ASSIGN_OR_RETURN(const Header header, GetHeader(key, value, in));
  SampleBatch batch;
  batch.rows = header.rows;
  std::vector<TensorSpec> columns;
  for (size_t c = 0; c < header.columns && !in.failed(); ++c) {
    TensorSpec& spec = columns.emplace_back();
    spec.name = std::string(in.GetShortText());
    spec.dtype = static_cast<DType>(in.Get<uint8_t>());
    const size_t rank = in.Get<uint8_t>();
    for (size_t d = 0; d < rank && !in.failed(); ++d) spec.shape.push_back(in.Get<int64_t>());
    if (spec.variable() && header.version < 2) return Damaged(key, "it has a dimension of -1");
  }
  if (in.failed()) return Damaged(key, "wrong length");
  if (const absl::Status valid = ValidateColumns(columns); !valid.ok())
    return Damaged(key, std::string(valid.message()));
  for (TensorSpec& spec : columns) {
    Column& column = batch.columns.emplace_back();
    column.spec = std::move(spec);
    uint64_t bytes = uint64_t{column.spec.bytes()} * header.rows;
    if (column.spec.variable()) {
      bytes = 0;
      for (uint32_t row = 0; row < header.rows && !in.failed(); ++row)
        column.row_ends.push_back(bytes += uint64_t{in.Get<uint32_t>()} * column.spec.bytes());
    }
    const std::string_view data = in.GetBytes(bytes);
    const auto* begin = reinterpret_cast<const std::byte*>(data.data());
    column.data.assign(begin, begin + data.size());
    if (in.failed()) return Damaged(key, "wrong length");
    if (const absl::Status valid = ValidateRows(column, header.rows); !valid.ok())
      return Damaged(key, std::string(valid.message()));
  }
  if (!in.rest().empty()) return Damaged(key, "wrong length");
  return batch;
}

}  // namespace bif::storage
