// Half-precision numbers (IEEE 754 binary16): what a float keeps when it is stored in two bytes.
// Rounds to the nearest, ties to even. From 2^-14 to 65,504 the error is at most 2^-11 of the
// number, below that at most 2^-25; from 65,520 on a number becomes infinite. Zero, infinities and
// NaNs stay what they are. Pure functions.
#pragma once

#include <bit>
#include <cstdint>

namespace bif {

inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  // Normal numbers: another exponent bias, and 13 bits less, of which the rest decides.
  const uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Below 2^-14 a half is a multiple of 2^-24, which is what 0.5 + x keeps of x.
  const uint32_t tiny = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
                        std::bit_cast<uint32_t>(0.5f);
  const uint32_t large = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;  // NaN or infinity
  const uint32_t half = magnitude < 0x38800000 ? tiny : magnitude < 0x477ff000 ? normal : large;
  return static_cast<uint16_t>(sign | half);
}

inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  const uint32_t normal = (magnitude << 13) + (112u << 23);
  const uint32_t tiny = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  const uint32_t large = (magnitude << 13) + (224u << 23);
  return std::bit_cast<float>(sign | (magnitude < 0x400    ? tiny
                                      : magnitude < 0x7c00 ? normal
                                                           : large));
}

inline float RoundToHalf(float value) { return HalfToFloat(FloatToHalf(value)); }

}  // namespace bif
