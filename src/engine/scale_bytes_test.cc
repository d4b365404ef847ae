#include "src/engine/scale_bytes.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace bif::engine {
namespace {

TEST(ScaleBytes, EveryChannelHasItsOwnScaleAndShift) {
  std::vector<uint8_t> sample(3 * 100);
  std::iota(sample.begin(), sample.end(), uint8_t{0});
  const std::vector<float> scale = {1.0f, 0.5f, -2.0f}, shift = {0.0f, 3.0f, 1.0f};
  std::vector<float> out(sample.size());
  ScaleBytes(sample, scale, shift, out.data());
  for (size_t i = 0; i < sample.size(); ++i) {
    EXPECT_EQ(out[i], static_cast<float>(sample[i]) * scale[i / 100] + shift[i / 100]) << i;
  }
}

}  // namespace
}  // namespace bif::engine
