#include "tests/integration/http2_bytes.h"

namespace bif::testing {
namespace {

// Big endian, the lowest `bytes` bytes.
std::string Number(uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    text += static_cast<char>(value >> shift & 0xff);
  return text;
}

// HPACK's integer with a prefix of 7 bits, whose first bit 0 says: no Huffman code (RFC 7541, 5.1).
std::string Literal(const std::string& text) {
  std::string bytes;
  size_t length = text.size();
  if (length < 127) {
    bytes += static_cast<char>(length);
  } else {
    bytes += static_cast<char>(127);
    for (length -= 127; length >= 128; length /= 128)
      bytes += static_cast<char>(length % 128 + 128);
    bytes += static_cast<char>(length);
  }
  return bytes + text;
}

}  // namespace

std::string FrameBytes(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string bytes = Number(payload.size(), 3);
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(flags);
  bytes += Number(stream, 4);
  return bytes.append(payload);
}

std::string HeaderBlock(const Headers& headers) {
  std::string block;
  for (const auto& [name, value] : headers) {
    block += '\0';  // a literal that goes into no table
    block += Literal(name);
    block += Literal(value);
  }
  return block;
}

Headers CallHeaders(const std::string& method) {
  return {{":method", "POST"},         {":scheme", "http"}, {":path", "/" + method},
          {":authority", "localhost"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
}

std::string Opening(const std::vector<std::pair<uint16_t, uint32_t>>& settings) {
  std::string payload;
  for (const auto& [identifier, value] : settings)
    payload += Number(identifier, 2) + Number(value, 4);
  return std::string(kPreface) + FrameBytes(FrameType::kSettings, 0, 0, payload);
}

std::string CallOpening(uint32_t stream, const std::string& method) {
  return FrameBytes(FrameType::kHeaders, kEndHeaders, stream, HeaderBlock(CallHeaders(method)));
}

std::string MessageFrame(uint32_t stream, std::string_view message, uint8_t flags) {
  std::string payload(1, '\0');  // not compressed
  payload += Number(message.size(), 4);
  payload.append(message);
  return FrameBytes(FrameType::kData, flags, stream, payload);
}

std::string StreamEnd(uint32_t stream) {
  return FrameBytes(FrameType::kData, kEndStream, stream, "");
}

}  // namespace bif::testing
