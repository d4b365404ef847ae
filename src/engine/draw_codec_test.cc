#include "src/engine/draw_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "src/engine/gaussian_noise.h"

namespace bif::engine {
namespace {

constexpr DrawCodec kCodecs[] = {DrawCodec::kInt8Block, DrawCodec::kInt4Block, DrawCodec::kBf16,
                                 DrawCodec::kFp32};

std::vector<float> RandomDelta(size_t size) {
  std::vector<float> delta(size);
  FillGaussianNoise(RandomBlocks(3, 0, 0, RandomStream::kNoise), 0, absl::MakeSpan(delta));
  for (float& x : delta) x *= 0.01f;
  return delta;
}

std::vector<float> RoundTrip(DrawCodec codec, const std::vector<float>& delta) {
  const auto payload = EncodeDraw(codec, delta);
  EXPECT_TRUE(payload.ok()) << payload.status();
  EXPECT_EQ(payload->size(), EncodedDrawBytes(codec, delta.size()));
  std::vector<float> out(delta.size(), -1.0f);
  EXPECT_TRUE(DecodeDraw(codec, *payload, absl::MakeSpan(out)).ok());
  return out;
}

TEST(DrawCodec, EveryNumberComesBackWithinHalfAScale) {
  for (size_t size : {0, 1, 63, 64, 65, 1000, 4096}) {
    const std::vector<float> delta = RandomDelta(size);
    const std::vector<float> int8 = RoundTrip(DrawCodec::kInt8Block, delta);
    const std::vector<float> int4 = RoundTrip(DrawCodec::kInt4Block, delta);
    for (size_t begin = 0; begin < size; begin += 64) {
      float largest = 0;
      for (size_t i = begin; i < std::min(begin + 64, size); ++i)
        largest = std::max(largest, std::abs(delta[i]));
      for (size_t i = begin; i < std::min(begin + 64, size); ++i) {
        EXPECT_LE(std::abs(int8[i] - delta[i]), 0.50001f * largest / 127);
        EXPECT_LE(std::abs(int4[i] - delta[i]), 0.50001f * largest / 7);
      }
    }
    const std::vector<float> bf16 = RoundTrip(DrawCodec::kBf16, delta);
    for (size_t i = 0; i < size; ++i)
      EXPECT_LE(std::abs(bf16[i] - delta[i]), std::abs(delta[i]) / 256);
    EXPECT_EQ(RoundTrip(DrawCodec::kFp32, delta), delta);
  }
}

TEST(DrawCodec, BytesAParameter) {
  EXPECT_DOUBLE_EQ(static_cast<double>(EncodedDrawBytes(DrawCodec::kInt8Block, 6400)) / 6400,
                   1.0625);
  EXPECT_DOUBLE_EQ(static_cast<double>(EncodedDrawBytes(DrawCodec::kInt4Block, 6400)) / 6400,
                   0.5625);
  EXPECT_EQ(EncodedDrawBytes(DrawCodec::kBf16, 7), 14u);
  EXPECT_EQ(EncodedDrawBytes(DrawCodec::kFp32, 7), 28u);
}

TEST(DrawCodec, ExtremesOfABlockAreExactInSign) {
  std::vector<float> delta(64, 0.0f);
  delta[0] = 2.54f;
  delta[63] = -2.54f;
  delta[1] = 0.02f;
  const std::vector<float> out = RoundTrip(DrawCodec::kInt8Block, delta);
  EXPECT_NEAR(out[0], 2.54, 1e-6);
  EXPECT_EQ(out[63], -out[0]);
  EXPECT_NEAR(out[1], 0.02, 1e-6);
  EXPECT_EQ(out[2], 0.0f);
}

TEST(DrawCodec, TheLargestFloatStaysFinite) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const std::vector<float> delta(64, -kLargest);
  for (DrawCodec codec : {DrawCodec::kInt8Block, DrawCodec::kInt4Block}) {
    EXPECT_NEAR(RoundTrip(codec, delta)[63] / kLargest, -1, 1e-6);
  }
  // BF16 would round it to an infinity.
  EXPECT_EQ(EncodeDraw(DrawCodec::kBf16, delta).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DrawCodec, ZerosAndTinyNumbersBecomeZeros) {
  std::vector<float> delta(70, 0.0f);
  delta[69] = 1e-38f;
  for (DrawCodec codec : {DrawCodec::kInt8Block, DrawCodec::kInt4Block}) {
    EXPECT_EQ(RoundTrip(codec, delta), std::vector<float>(70, 0.0f));
  }
}

TEST(DrawCodec, LargeNumbersStayFinite) {
  for (DrawCodec codec : kCodecs) {
    for (float x : RoundTrip(codec, std::vector<float>(65, 1e38f)))
      EXPECT_NEAR(x / 1e38f, 1.0f, 1.0f / 256);
  }
}

TEST(DrawCodec, Bf16RoundsToNearestEven) {
  const float below = 1.0f + 0x1p-8f, above = 1.0f + 3 * 0x1p-8f;
  EXPECT_EQ(RoundTrip(DrawCodec::kBf16, {below, above, -below}),
            (std::vector<float>{1.0f, 1.0f + 0x1p-6f, -1.0f}));
}

TEST(DrawCodec, NotFiniteIsRefused) {
  for (DrawCodec codec : kCodecs) {
    for (float fault :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      std::vector<float> delta(100, 1.0f);
      delta[99] = fault;
      EXPECT_EQ(EncodeDraw(codec, delta).status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(DrawCodec, ADamagedSizeIsDataLossAndTouchesNothing) {
  for (DrawCodec codec : kCodecs) {
    std::string payload = *EncodeDraw(codec, std::vector<float>(65, 1.0f));
    std::vector<float> out(65, 7.0f);
    payload.pop_back();
    EXPECT_EQ(DecodeDraw(codec, payload, absl::MakeSpan(out)).code(), absl::StatusCode::kDataLoss);
    payload += "xx";
    EXPECT_EQ(DecodeDraw(codec, payload, absl::MakeSpan(out)).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(out, std::vector<float>(65, 7.0f));
  }
}

TEST(DrawCodec, AnUnknownCodecIsRefused) {
  std::vector<float> out(3);
  EXPECT_EQ(EncodeDraw(DrawCodec{9}, out).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeDraw(DrawCodec{9}, "", absl::MakeSpan(out)).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace bif::engine
