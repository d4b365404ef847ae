// Sets of rows as the catalog keeps them: one bitmap a chunk of 65,536 ordinals, lowest bit first.
// An empty or short bitmap ends in zeros. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace bif::storage {

inline constexpr uint32_t kBitmapRows = 1 << 16;  // of one record: 8 KiB

inline bool BitIsSet(const std::string& bitmap, uint32_t row) {
  const size_t byte = row % kBitmapRows / 8;
  return byte < bitmap.size() && (static_cast<unsigned char>(bitmap[byte]) >> (row % 8) & 1) != 0;
}

inline void SetBit(std::string& bitmap, uint32_t row) {
  bitmap.resize(kBitmapRows / 8, '\0');
  bitmap[row % kBitmapRows / 8] |= static_cast<char>(1 << (row % 8));
}

}  // namespace bif::storage
