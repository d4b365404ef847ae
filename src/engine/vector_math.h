// Functions of one fp32 number without a branch or a table, so that loops over them vectorise, and
// without the C library, so that every processor computes the same bits.
#pragma once

#include <bit>
#include <cstdint>

#include "src/engine/kernel_clones.h"

namespace bif::engine {

// ln x for normal x > 0. x = m 2^e with m in [sqrt(1/2), sqrt(2)), and with s = (m-1)/(m+1), by
// the series of artanh, ln m = 2 (s + s^3/3 + s^5/5 + s^7/7 + s^9/9 + ...). |s| < 0.1716, so what
// is left out is below 2e-9 of ln m.
BIF_ALWAYS_INLINE float NaturalLog(float x) {
  constexpr uint32_t kSqrtHalf = 0x3F3504F3;  // the bits of sqrt(1/2)
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const int32_t e = static_cast<int32_t>(bits - kSqrtHalf) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<uint32_t>(e) << 23));
  const float s = (m - 1.0f) / (m + 1.0f);
  const float z = s * s;
  const float tail = ((z * (2.0f / 9) + 2.0f / 7) * z + 2.0f / 5) * z + 2.0f / 3;
  return static_cast<float>(e) * 0.693147180559945f + (s * 2.0f + s * (z * tail));
}

// e^x for x <= 0; below -87 it stays e^-87, above the smallest normal number. NaN gives NaN.
// x = n ln 2 + r with |r| <= ln(2)/2, and e^r by its Taylor series to r^7, which leaves out less
// than 6e-9. ln 2 is taken off in two parts, the first of which has so few digits that n times it
// is exact.
BIF_ALWAYS_INLINE float ExponentialOfNegative(float x) {
  constexpr float kRound = 0x1.8p23f;  // adding it leaves no bits for a fraction
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const float bounded = x < -87.0f ? -87.0f : x;
  const float rounded = bounded * 1.44269504088896f + kRound;
  const float n = rounded - kRound;
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  const float tail = (((r * (1.0f / 5040) + 1.0f / 720) * r + 1.0f / 120) * r + 1.0f / 24) * r;
  const float series = 1.0f + (r + r * r * (0.5f + r * (1.0f / 6 + tail)));
  const uint32_t exponent =
      std::bit_cast<uint32_t>(rounded) - std::bit_cast<uint32_t>(kRound) + 127;  // of 2^n
  return series * std::bit_cast<float>(exponent << 23);
}

}  // namespace bif::engine
