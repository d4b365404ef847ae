// Fixed-width big-endian numbers in keys: RocksDB compares keys as bytes, and so they sort as
// numbers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bif::storage {

template <typename Unsigned>
void AppendBigEndian(std::string& out, Unsigned value) {
  for (int shift = 8 * (static_cast<int>(sizeof(Unsigned)) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

// The number at `offset`; the caller has checked that the bytes are there.
template <typename Unsigned>
Unsigned ReadBigEndian(std::string_view bytes, size_t offset) {
  Unsigned value = 0;
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    value = static_cast<Unsigned>((value << 8) | static_cast<unsigned char>(bytes[offset + i]));
  }
  return value;
}

// The first key after all that begin with `prefix`. The first byte is a RecordKind or a number's
// high byte, never 0xff all along, so there is one.
inline std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace bif::storage
