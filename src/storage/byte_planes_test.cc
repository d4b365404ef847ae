#include "src/storage/byte_planes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "src/base/half.h"

namespace bif::storage {
namespace {

// Every byte of every value is different from its neighbours', so that no mix-up stays unseen.
std::vector<float> Values(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(i + 1) * 2654435761u;
    std::memcpy(&values[i], &bits, sizeof(bits));
  }
  return values;
}

TEST(BytePlanes, PlaneHoldsOneByteOfEveryValueAtAnyCount) {
  for (size_t count = 0; count < 70; ++count) {
    const std::vector<float> values = Values(count);
    std::vector<char> planes(4 * count);
    SplitPlanes(values.data(), count,
                {planes.data(), planes.data() + count, planes.data() + 2 * count,
                 planes.data() + 3 * count});
    const char* bytes = reinterpret_cast<const char*>(values.data());
    for (size_t i = 0; i < count; ++i) {
      for (size_t p = 0; p < 4; ++p) {
        ASSERT_EQ(planes[p * count + i], bytes[4 * i + p]) << "value " << i << " of " << count;
      }
    }
  }
}

TEST(BytePlanes, JoiningGivesTheSameBitsBackAndTouchesNothingElse) {
  for (size_t count = 1; count < 70; ++count) {
    const std::vector<float> values = Values(count);
    std::vector<char> planes(4 * count);
    SplitPlanes(values.data(), count,
                {planes.data(), planes.data() + count, planes.data() + 2 * count,
                 planes.data() + 3 * count});
    std::vector<float> joined(count + 2, 7.0f);
    JoinPlanes({planes.data(), planes.data() + count, planes.data() + 2 * count,
                planes.data() + 3 * count},
               count, joined.data() + 1);
    ASSERT_EQ(std::memcmp(joined.data() + 1, values.data(), count * sizeof(float)), 0) << count;
    ASSERT_EQ(joined.front(), 7.0f) << count;
    ASSERT_EQ(joined.back(), 7.0f) << count;
  }
}

TEST(BytePlanes, HalvesHaveTwoPlanesAndComeBackRounded) {
  for (size_t count = 0; count < 40; ++count) {
    const std::vector<float> values = Values(count);
    std::vector<char> planes(2 * count);
    SplitHalves(values.data(), count, {planes.data(), planes.data() + count});
    std::vector<float> joined(count + 2, 7.0f);
    JoinHalves({planes.data(), planes.data() + count}, count, joined.data() + 1);
    for (size_t i = 0; i < count; ++i) {
      const uint16_t half = FloatToHalf(values[i]);
      ASSERT_EQ(static_cast<uint8_t>(planes[i]), half & 0xff);
      ASSERT_EQ(static_cast<uint8_t>(planes[count + i]), half >> 8);
      const float expected = HalfToFloat(half);
      ASSERT_EQ(std::memcmp(&joined[1 + i], &expected, sizeof(float)), 0);
    }
    ASSERT_EQ(joined.front(), 7.0f);
    ASSERT_EQ(joined.back(), 7.0f);
  }
}

TEST(BytePlanes, TransposesAnyShape) {
  for (size_t rows = 1; rows < 11; ++rows) {
    for (size_t columns = 1; columns < 11; ++columns) {
      const size_t stride = rows + 3;
      std::vector<float> values(stride * columns);
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
      std::vector<float> out(rows * columns, -1);
      TransposeToRows(values.data(), stride, rows, columns, out.data());
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < columns; ++c) {
          ASSERT_EQ(out[r * columns + c], values[c * stride + r]) << rows << " x " << columns;
        }
      }
    }
  }
}

}  // namespace
}  // namespace bif::storage
