#include "src/base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace bif {
namespace {

// A half's value from its definition: sign, exponent, mantissa.
double ValueOf(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const double sign = half >> 15 ? -1 : 1;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  return exponent == 0 ? sign * mantissa * 0x1p-24
                       : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Half, EveryHalfIsAFloatAndComesBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<uint16_t>(h);
    const float value = HalfToFloat(half);
    if (std::isnan(ValueOf(half))) {
      EXPECT_TRUE(std::isnan(value)) << h;
      EXPECT_TRUE(std::isnan(RoundToHalf(value))) << h;
      continue;
    }
    ASSERT_EQ(value, ValueOf(half)) << h;
    ASSERT_EQ(std::signbit(value), half >> 15 != 0) << h;
    ASSERT_EQ(FloatToHalf(value), half) << h;
  }
}

TEST(Half, BetweenTwoHalvesTheNearerWinsAndTiesGoToEven) {
  for (uint32_t h = 0; h + 1 < 0x7c00; ++h) {
    const auto low = static_cast<uint16_t>(h);
    const auto high = static_cast<uint16_t>(h + 1);
    const auto middle = static_cast<float>((ValueOf(low) + ValueOf(high)) / 2);  // exact
    ASSERT_EQ(FloatToHalf(middle), h % 2 == 0 ? low : high) << h;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 0.0f)), low) << h;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, INFINITY)), high) << h;
    ASSERT_EQ(FloatToHalf(-middle), (h % 2 == 0 ? low : high) | 0x8000) << h;
  }
}

TEST(Half, WhatIsTooLargeIsInfinite) {
  EXPECT_EQ(RoundToHalf(65519.996f), 65504);
  EXPECT_EQ(RoundToHalf(65520), INFINITY);
  EXPECT_EQ(RoundToHalf(-std::numeric_limits<float>::max()), -INFINITY);
  EXPECT_EQ(RoundToHalf(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(RoundToHalf(std::numeric_limits<float>::signaling_NaN())));
  EXPECT_EQ(RoundToHalf(std::numeric_limits<float>::denorm_min()), 0);
}

}  // namespace
}  // namespace bif
