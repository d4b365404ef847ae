#include "client/load/mix.h"

#include <gtest/gtest.h>

namespace bif::client::load {
namespace {

TEST(LoadMix, NamesAndWeightsAreRead) {
  const absl::StatusOr<Mix> mix = ParseMix("stored-top-k=8,new-query=1,health");
  ASSERT_TRUE(mix.ok()) << mix.status();
  EXPECT_EQ(*mix, (Mix{{Method::kStoredTopK, 8}, {Method::kNewQuery, 1}, {Method::kHealth, 1}}));
}

TEST(LoadMix, APartOfWeightZeroIsLeftOut) {
  const absl::StatusOr<Mix> mix = ParseMix("stored-top-k=0,health=3");
  ASSERT_TRUE(mix.ok()) << mix.status();
  EXPECT_EQ(*mix, (Mix{{Method::kHealth, 3}}));
}

TEST(LoadMix, WhatMakesNoSenseIsRefused) {
  for (const char* text : {"", "topk=1", "health=", "health=-1", "health=1.5", "health=x",
                           "health=1,health=2", "health=0", "health=1,,new-query=1",
                           "health=1000001", "health=18446744073709551616", "=1"}) {
    EXPECT_EQ(ParseMix(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(LoadMix, EveryCallHasItsShare) {
  const Mix mix = {{Method::kStoredTopK, 8}, {Method::kNewQuery, 1}, {Method::kHealth, 1}};
  Random random(7);
  int counts[3] = {};
  constexpr int kCalls = 100'000;
  for (int i = 0; i < kCalls; ++i) ++counts[static_cast<int>(Pick(mix, random))];
  // Five standard deviations of a binomial count: 5 * sqrt(n p (1 - p)) is 632 and 474.
  EXPECT_NEAR(counts[0], 80'000, 632);
  EXPECT_NEAR(counts[1], 10'000, 474);
  EXPECT_NEAR(counts[2], 10'000, 474);
}

TEST(LoadMix, TheSameSeedGivesTheSameCalls) {
  const Mix mix = {{Method::kStoredTopK, 1}, {Method::kHealth, 1}};
  Random first(3), second(3), other(4);
  int differences = 0;
  for (int i = 0; i < 100; ++i) {
    const Method method = Pick(mix, first);
    EXPECT_EQ(Pick(mix, second), method);
    if (Pick(mix, other) != method) ++differences;
  }
  EXPECT_GT(differences, 0);
}

}  // namespace
}  // namespace bif::client::load
