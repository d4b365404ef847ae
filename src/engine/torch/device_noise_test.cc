#include "src/engine/torch/device_noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "src/engine/gaussian_noise.h"

namespace bif::engine {
namespace {

const std::vector<RandomBlocks> kStreams = {
    RandomBlocks(0x123456789ABCDEF0, 3, (uint64_t{7} << 40) + 5, RandomStream::kNoise),
    RandomBlocks(1, 0xFFFFFFFF, 0, RandomStream::kNoise)};

TEST(DeviceNoise, WordsAreThoseOfTheHost) {
  const std::vector<int64_t> blocks = {0, 1, 2, 1000003, 0xFFFFFFFF};
  const auto words = PhiloxWords(kStreams, at::tensor(blocks, at::kLong));
  for (size_t s = 0; s < kStreams.size(); ++s) {
    for (size_t b = 0; b < blocks.size(); ++b) {
      const PhiloxCounter expected = kStreams[s](static_cast<uint32_t>(blocks[b]));
      const uint32_t in_order[] = {expected.c0, expected.c1, expected.c2, expected.c3};
      for (size_t w = 0; w < 4; ++w) {
        EXPECT_EQ(words[w][static_cast<int64_t>(s)][static_cast<int64_t>(b)].item<int64_t>(),
                  int64_t{in_order[w]});
      }
    }
  }
}

// Ranges that begin and end within a block of four, and a parameter between them that stays.
TEST(DeviceNoise, RowsAreThoseOfTheHostToRounding) {
  WeightLayout layout;
  layout.ranges = {{0, {5}, 5, 2, 0, 0}, {2, {7, 100}, 700, 40, 5, 16}, {3, {1}, 1, 741, 705, 720}};
  layout.delta_elements = 706;
  layout.row_elements = 736;
  const at::Tensor rows = DeviceNoise(layout, c10::Device(c10::kCPU)).Rows(kStreams);
  ASSERT_EQ(rows.sizes(), (std::vector<int64_t>{2, 736}));
  for (size_t s = 0; s < kStreams.size(); ++s) {
    for (const WeightRange& range : layout.ranges) {
      std::vector<float> expected(static_cast<size_t>(range.elements));
      FillGaussianNoise(kStreams[s], range.flat_position, absl::MakeSpan(expected));
      for (int64_t i = 0; i < range.elements; ++i) {
        EXPECT_NEAR(rows[static_cast<int64_t>(s)][range.row_offset + i].item<float>(),
                    expected[static_cast<size_t>(i)], 3e-6f);
      }
    }
  }
}

}  // namespace
}  // namespace bif::engine
