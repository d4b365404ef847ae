#include "src/storage/trace_tile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/escaping.h"
#include "src/base/half.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

const TileKey kKey = {{3, 1, 2}, 4, 256, 64};

// Losses as a classifier makes them: they compress.
std::vector<float> Losses(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = 0.5f + 0.25f * std::sin(static_cast<float>(i));
  return values;
}

std::vector<float> Decode(const TileReader& reader) {
  std::vector<float> rows(size_t{reader.shape().slots} * reader.shape().draws);
  for (uint32_t s = 0; s < reader.shape().slots; ++s) {
    reader.CopyRow(s, 0, reader.shape().draws, rows.data() + size_t{s} * reader.shape().draws);
  }
  return rows;
}

class TraceTileTest : public ::testing::TestWithParam<TraceType> {
 protected:
  static std::string Encode(TileShape shape, const std::vector<float>& values) {
    return EncodeTile(kKey, shape, GetParam(), values.data(), shape.slots);
  }
};

TEST_P(TraceTileTest, GivesBackEveryValueOfAnyShape) {
  for (const TileShape shape :
       {TileShape{1, 1}, {1, 64}, {256, 1}, {3, 5}, {256, 64}, {255, 63}, {17, 40}}) {
    std::vector<float> values = Losses(size_t{shape.slots} * shape.draws);
    values[0] = -0.0f;
    if (values.size() > 3) {
      values[1] = std::numeric_limits<float>::denorm_min();
      values[2] = std::numeric_limits<float>::infinity();
      values[3] = std::nanf("7");
    }
    const std::string tile = Encode(shape, values);
    TileReader reader;
    ASSERT_TRUE(reader.Open(kKey, tile).ok());
    const std::vector<float> rows = Decode(reader);
    for (size_t s = 0; s < shape.slots; ++s) {
      for (size_t d = 0; d < shape.draws; ++d) {
        float expected = values[d * shape.slots + s];
        if (GetParam() == TraceType::kFloat16) expected = RoundToHalf(expected);
        ASSERT_EQ(std::memcmp(&rows[s * shape.draws + d], &expected, sizeof(float)), 0);
      }
    }
  }
}

TEST(TraceTile, KeysSortAsTheirNumbers) {
  TileKey larger = kKey;
  larger.first_draw = 256;
  EXPECT_LT(kKey.Encode(), larger.Encode());
  larger = kKey;
  larger.chain = 256;
  EXPECT_LT(kKey.Encode(), larger.Encode());
  EXPECT_EQ(TileKey::Decode(kKey.Encode()).Encode(), kKey.Encode());
  EXPECT_EQ(kKey.Encode().size(), kTileKeyBytes);
}

TEST_P(TraceTileTest, EveryFlippedBitIsFound) {
  const TileShape shape = {8, 40};
  const std::vector<float> values = Losses(size_t{shape.slots} * shape.draws);
  const std::string tile = Encode(shape, values);
  const size_t value_bytes = GetParam() == TraceType::kFloat16 ? 2 : 4;
  ASSERT_LT(tile.size(), values.size() * value_bytes) << "the test wants a compressed plane";
  TileReader reader;
  for (size_t bit = 0; bit < 8 * tile.size(); ++bit) {
    std::string flipped = tile;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const absl::Status status = reader.Open(kKey, flipped);
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << "bit " << bit;
    ASSERT_THAT(std::string(status.message()), HasSubstr("posterior 3 array 1 dataset 2 chain 4"));
  }
  EXPECT_TRUE(reader.Open(kKey, tile).ok());
}

TEST_P(TraceTileTest, EveryCutIsFound) {
  const std::string tile = Encode({4, 8}, Losses(32));
  TileReader reader;
  for (size_t length = 0; length < tile.size(); ++length) {
    ASSERT_EQ(reader.Open(kKey, std::string_view(tile).substr(0, length)).code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(reader.Open(kKey, tile + "x").code(), absl::StatusCode::kDataLoss);
}

TEST_P(TraceTileTest, UnderAnotherKeyIsDamage) {
  const std::string tile = Encode({2, 2}, Losses(4));
  TileKey other = kKey;
  other.first_slot = 512;
  TileReader reader;
  EXPECT_EQ(reader.Open(other, tile).code(), absl::StatusCode::kDataLoss);
}

// Numbers from tests/golden/trace_tiles.py, which reads the format page.
TEST_P(TraceTileTest, BytesAreThoseOfTheFormatPage) {
  const std::vector<float> columns = {0.1f, 2.5f, 7.123f, 1e-6f, 0.0f, 11.09f};  // [draw][slot]
  const bool half = GetParam() == TraceType::kFloat16;
  const std::string golden =
      half ? "54494c45010106000200030006000000060000000000000000000000000000005d757ffab9ef2498661f"
             "0000118c2e4700410049"
           : "54494c45010104000200030006000000060000000600000006000000000000007c3e2583ffec044acd9e"
             "0000bda4ccef00003770cce3002086313d4000403541";
  EXPECT_EQ(absl::BytesToHexString(Encode({2, 3}, columns)), golden);
  const std::string stored = absl::HexStringToBytes(golden);
  TileReader reader;
  ASSERT_TRUE(reader.Open(kKey, stored).ok());
  EXPECT_EQ(Decode(reader), half ? (std::vector<float>{0.0999755859375f, 7.12109375f, 0, 2.5f,
                                                       1.0132789611816406e-06f, 11.09375f})
                                 : (std::vector<float>{0.1f, 7.123f, 0, 2.5f, 1e-6f, 11.09f}));
}

INSTANTIATE_TEST_SUITE_P(Types, TraceTileTest,
                         ::testing::Values(TraceType::kFloat32, TraceType::kFloat16));

}  // namespace
}  // namespace bif::storage
