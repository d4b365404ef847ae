#include "client/load/percentile.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bif::client::load {
namespace {

std::vector<absl::Duration> UpTo(int count) {
  std::vector<absl::Duration> values;
  for (int i = 1; i <= count; ++i) values.push_back(absl::Milliseconds(i));
  return values;
}

TEST(LoadPercentile, TheUsualExampleOfNearestRank) {
  const std::vector<absl::Duration> values = {absl::Milliseconds(15), absl::Milliseconds(20),
                                              absl::Milliseconds(35), absl::Milliseconds(40),
                                              absl::Milliseconds(50)};
  EXPECT_EQ(NearestRank(values, 5), absl::Milliseconds(15));
  EXPECT_EQ(NearestRank(values, 30), absl::Milliseconds(20));
  EXPECT_EQ(NearestRank(values, 40), absl::Milliseconds(20));
  EXPECT_EQ(NearestRank(values, 50), absl::Milliseconds(35));
  EXPECT_EQ(NearestRank(values, 100), absl::Milliseconds(50));
}

TEST(LoadPercentile, RanksAreExactWhereFloatingPointIsNot) {
  for (int count = 1; count <= 3000; ++count) {
    const std::vector<absl::Duration> values = UpTo(count);
    for (const int permille : {500, 900, 990, 999, 1000}) {
      const int rank = (permille * count + 999) / 1000;
      ASSERT_EQ(NearestRank(values, permille / 10.0), absl::Milliseconds(rank))
          << permille << " of " << count;
    }
  }
}

TEST(LoadPercentile, OneValueIsEveryPercentile) {
  const Spread spread = SpreadOf({absl::Milliseconds(3)});
  EXPECT_EQ(spread.p50, absl::Milliseconds(3));
  EXPECT_EQ(spread.p999, absl::Milliseconds(3));
  EXPECT_EQ(spread.max, absl::Milliseconds(3));
}

TEST(LoadPercentile, ValuesNeedNotComeSorted) {
  std::vector<absl::Duration> values = UpTo(1000);
  std::reverse(values.begin(), values.end());
  const Spread spread = SpreadOf(values);
  EXPECT_EQ(spread.p50, absl::Milliseconds(500));
  EXPECT_EQ(spread.p90, absl::Milliseconds(900));
  EXPECT_EQ(spread.p99, absl::Milliseconds(990));
  EXPECT_EQ(spread.p999, absl::Milliseconds(999));
  EXPECT_EQ(spread.max, absl::Milliseconds(1000));
}

TEST(LoadPercentile, NoValuesGiveZeros) { EXPECT_EQ(SpreadOf({}).max, absl::ZeroDuration()); }

}  // namespace
}  // namespace bif::client::load
