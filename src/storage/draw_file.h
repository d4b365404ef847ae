// Draw files and chain-state files as bytes. Pure functions, thread-safe. docs/storage_format.md
// has the layout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/storage/draw_store.h"

namespace bif::storage {

// A file is a row of frames; a frame is a header of this size and the payload, padded to a multiple
// of it. A draw file has a frame a draw; a state file has two, the weights and the second moments.
inline constexpr size_t kFrameHeaderBytes = 64;

struct FrameHeader {
  enum Kind : uint8_t { kDraw = 1, kState = 2 };
  Kind kind = kDraw;
  uint8_t codec = 0;
  uint32_t chain = 0;
  uint64_t posterior = 0;
  uint64_t index = 0;     // the draw, or the state's step
  uint64_t elements = 0;  // numbers that the payload stands for
  uint64_t payload_bytes = 0;
};

// The 64 bytes before a payload. Their checksum covers both.
std::string EncodeFrameHeader(const FrameHeader& header, std::string_view payload);

// `name` is for messages. DATA_LOSS if magic, version, kind, posterior or the header's own checksum
// are wrong; the payload is checked by CheckPayload.
absl::StatusOr<FrameHeader> DecodeFrameHeader(std::string_view bytes, FrameHeader::Kind kind,
                                              uint64_t posterior, const std::string& name);
absl::Status CheckPayload(std::string_view header_bytes, std::string_view payload,
                          const std::string& name);

// Bytes from a frame to the next.
inline uint64_t FrameBytes(uint64_t payload_bytes) {
  return kFrameHeaderBytes +
         (payload_bytes + kFrameHeaderBytes - 1) / kFrameHeaderBytes * kFrameHeaderBytes;
}

std::string DrawFileName(uint32_t chain, uint32_t first_draw,
                         uint32_t end_draw);               // "c0001-d00000064-00000128.draws"
std::string StateFileName(uint32_t chain, uint64_t step);  // "c0001-s000000004000.state"

}  // namespace bif::storage
