#include "src/engine/length_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bif::engine {
namespace {

using ::testing::ElementsAre;

std::vector<std::vector<uint32_t>> Cut(const std::vector<int64_t>& lengths, int64_t most_rows,
                                       int64_t most_tokens) {
  std::vector<uint32_t> rows;
  for (uint32_t row = 0; row < lengths.size(); ++row) rows.push_back(row);
  return CutByLength(
      rows, [&](uint32_t row) { return lengths[row]; }, most_rows, most_tokens);
}

TEST(LengthBuckets, LongestFirstAndEqualLengthsInOrder) {
  EXPECT_THAT(Cut({3, 9, 5, 9, 3}, 0, 0), ElementsAre(ElementsAre(1, 3, 2, 0, 4)));
}

TEST(LengthBuckets, CallsHoldAtMostSoManyPaddedTokensAndRows) {
  EXPECT_THAT(Cut({3, 9, 5, 9, 3}, 0, 18), ElementsAre(ElementsAre(1, 3), ElementsAre(2, 0, 4)));
  EXPECT_THAT(Cut({3, 9, 5, 9, 3}, 2, 0),
              ElementsAre(ElementsAre(1, 3), ElementsAre(2, 0), ElementsAre(4)));
}

TEST(LengthBuckets, ARowThatIsTooLongIsAlone) {
  EXPECT_THAT(Cut({100, 2, 2}, 0, 10), ElementsAre(ElementsAre(0), ElementsAre(1, 2)));
}

TEST(LengthBuckets, NoRowsAreNoCalls) { EXPECT_TRUE(Cut({}, 4, 4).empty()); }

}  // namespace
}  // namespace bif::engine
