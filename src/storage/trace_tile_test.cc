#include "src/storage/trace_tile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

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

TEST(TraceTile, GivesBackEveryBitOfAnyShape) {
  for (const TileShape shape :
       {TileShape{1, 1}, {1, 64}, {256, 1}, {3, 5}, {256, 64}, {255, 63}, {17, 40}}) {
    std::vector<float> values = Losses(size_t{shape.slots} * shape.draws);
    values[0] = -0.0f;
    if (values.size() > 3) {
      values[1] = std::numeric_limits<float>::denorm_min();
      values[2] = std::numeric_limits<float>::infinity();
      values[3] = std::nanf("7");
    }
    const std::string tile = EncodeTile(kKey, shape, values.data(), shape.slots);
    TileReader reader;
    ASSERT_TRUE(reader.Open(kKey, tile).ok());
    const std::vector<float> rows = Decode(reader);
    for (size_t s = 0; s < shape.slots; ++s) {
      for (size_t d = 0; d < shape.draws; ++d) {
        ASSERT_EQ(
            std::memcmp(&rows[s * shape.draws + d], &values[d * shape.slots + s], sizeof(float)),
            0);
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

TEST(TraceTile, EveryFlippedBitIsFound) {
  const TileShape shape = {8, 40};
  const std::vector<float> values = Losses(size_t{shape.slots} * shape.draws);
  const std::string tile = EncodeTile(kKey, shape, values.data(), shape.slots);
  ASSERT_LT(tile.size(), values.size() * sizeof(float)) << "the test wants a compressed plane";
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

TEST(TraceTile, EveryCutIsFound) {
  const TileShape shape = {4, 8};
  const std::vector<float> values = Losses(32);
  const std::string tile = EncodeTile(kKey, shape, values.data(), shape.slots);
  TileReader reader;
  for (size_t length = 0; length < tile.size(); ++length) {
    ASSERT_EQ(reader.Open(kKey, std::string_view(tile).substr(0, length)).code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(reader.Open(kKey, tile + "x").code(), absl::StatusCode::kDataLoss);
}

TEST(TraceTile, UnderAnotherKeyIsDamage) {
  const std::vector<float> values = Losses(4);
  const std::string tile = EncodeTile(kKey, {2, 2}, values.data(), 2);
  TileKey other = kKey;
  other.first_slot = 512;
  TileReader reader;
  EXPECT_EQ(reader.Open(other, tile).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace bif::storage
