// HTTP/2 as bytes (RFC 9113), for tests that speak it wrongly on purpose. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bif::testing {

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr uint8_t kEndStream = 1;   // of DATA and HEADERS
inline constexpr uint8_t kAck = 1;         // of SETTINGS and PING
inline constexpr uint8_t kEndHeaders = 4;  // of HEADERS and CONTINUATION

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string FrameBytes(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload);

using Headers = std::vector<std::pair<std::string, std::string>>;
// A header block in which every field is a literal.
std::string HeaderBlock(const Headers& headers);
// The fields with which a call of `method` ("bif.v1.Datasets/GetDataset") begins.
Headers CallHeaders(const std::string& method);

// How a conversation begins: the preface and settings, {identifier, value} each.
std::string Opening(const std::vector<std::pair<uint16_t, uint32_t>>& settings = {});
inline constexpr uint16_t kInitialWindowSize = 4;  // an identifier

// The HEADERS frame that opens a call on a stream, whose number is odd.
std::string CallOpening(uint32_t stream, const std::string& method);
// A DATA frame with one gRPC message of at most 16 KiB.
std::string MessageFrame(uint32_t stream, std::string_view message, uint8_t flags = 0);
// The DATA frame with which a client says that no more will follow.
std::string StreamEnd(uint32_t stream);

}  // namespace bif::testing
