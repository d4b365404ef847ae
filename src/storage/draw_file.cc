#include "src/storage/draw_file.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/digest.h"
#include "src/storage/byte_codec.h"

namespace bif::storage {
namespace {

constexpr uint32_t kMagic = 0x57415244;  // "DRAW"
constexpr uint8_t kVersion = 1;
constexpr size_t kPayloadChecksumOffset = 48;
constexpr size_t kHeaderChecksumOffset = 56;

template <typename Number>
Number NumberAt(std::string_view bytes, size_t offset) {
  Number value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

absl::Status Damaged(const std::string& name, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat(name, " is damaged: ", absl::string_view(what.data(), what.size())));
}

}  // namespace

std::string EncodeFrameHeader(const FrameHeader& header, std::string_view payload) {
  ByteWriter out;
  out.Put(kMagic);
  out.Put(kVersion);
  out.Put(static_cast<uint8_t>(header.kind));
  out.Put(header.codec);
  out.Put(uint8_t{0});
  out.Put(header.chain);
  out.Put(uint32_t{0});
  out.Put(header.posterior);
  out.Put(header.index);
  out.Put(header.elements);
  out.Put(header.payload_bytes);
  out.Put(Checksum(payload));
  out.Put(Checksum(out.bytes()));
  return out.Take();
}

absl::StatusOr<FrameHeader> DecodeFrameHeader(std::string_view bytes, FrameHeader::Kind kind,
                                              uint64_t posterior, const std::string& name) {
  if (bytes.size() < kFrameHeaderBytes) return Damaged(name, "it is cut off");
  bytes = bytes.substr(0, kFrameHeaderBytes);
  ByteReader in(bytes);
  const uint32_t magic = in.Get<uint32_t>();
  const uint8_t version = in.Get<uint8_t>();
  FrameHeader header;
  header.kind = static_cast<FrameHeader::Kind>(in.Get<uint8_t>());
  header.codec = in.Get<uint8_t>();
  in.Get<uint8_t>();
  header.chain = in.Get<uint32_t>();
  in.Get<uint32_t>();
  header.posterior = in.Get<uint64_t>();
  header.index = in.Get<uint64_t>();
  header.elements = in.Get<uint64_t>();
  header.payload_bytes = in.Get<uint64_t>();
  if (magic != kMagic) return Damaged(name, "wrong magic number");
  if (version != kVersion) return Damaged(name, absl::StrCat("unknown version ", version));
  if (NumberAt<uint64_t>(bytes, kHeaderChecksumOffset) !=
      Checksum(bytes.substr(0, kHeaderChecksumOffset))) {
    return Damaged(name, "wrong checksum of a header");
  }
  if (header.kind != kind || header.posterior != posterior) {
    return Damaged(
        name, absl::StrCat("it belongs to posterior ", header.posterior, ", kind ", header.kind));
  }
  return header;
}

absl::Status CheckPayload(std::string_view header_bytes, std::string_view payload,
                          const std::string& name) {
  if (NumberAt<uint64_t>(header_bytes, kPayloadChecksumOffset) != Checksum(payload)) {
    return Damaged(name, "wrong checksum");
  }
  return absl::OkStatus();
}

std::string DrawFileName(uint32_t chain, uint32_t first_draw, uint32_t end_draw) {
  return absl::StrFormat("c%04d-d%08d-%08d.draws", chain, first_draw, end_draw);
}

std::string StateFileName(uint32_t chain, uint64_t step) {
  return absl::StrFormat("c%04d-s%012d.state", chain, step);
}

}  // namespace bif::storage
