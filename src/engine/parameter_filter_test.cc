#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/status.h"
#include "src/engine/engine.h"
#include "src/engine/glob.h"

namespace bif::engine {
namespace {

const std::vector<ParameterInfo> kParameters = {
    {"layers.0.self_attn.q.weight", {4, 4}, 16},
    {"layers.0.mlp.weight", {8, 4}, 32},
    {"layers.1.self_attn.q.weight", {4, 4}, 16},
    {"head.bias", {3}, 3},
};

std::vector<int64_t> Selected(const MovingSet& moving) {
  std::vector<int64_t> parameters;
  for (const MovingRange& range : moving.ranges) parameters.push_back(range.parameter);
  return parameters;
}

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("*.self_attn.*", "layers.0.self_attn.q.weight"));
  EXPECT_TRUE(GlobMatches("layers.?.mlp.weight", "layers.0.mlp.weight"));
  EXPECT_TRUE(GlobMatches("a*b*c", "aXbXbc"));
  EXPECT_FALSE(GlobMatches("layers.?.mlp.weight", "layers.10.mlp.weight"));
  EXPECT_FALSE(GlobMatches("head", "head.bias"));
  EXPECT_FALSE(GlobMatches("", "x"));
}

TEST(Glob, ManyStarsStayFast) {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "*a";
  EXPECT_FALSE(GlobMatches(glob, std::string(5000, 'b')));
}

TEST(SelectParameters, AnEmptyFilterMovesAll) {
  const auto moving = SelectParameters(kParameters, {});
  ASSERT_TRUE(moving.ok());
  EXPECT_THAT(Selected(*moving), testing::ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(moving->elements, 67);
  EXPECT_EQ(moving->ranges[2].begin, 48);
}

TEST(SelectParameters, RangesAreDenseInADelta) {
  const auto moving = SelectParameters(kParameters, {{"*.self_attn.*", "head.*"}, {"layers.0.*"}});
  ASSERT_TRUE(moving.ok());
  EXPECT_THAT(Selected(*moving), testing::ElementsAre(2, 3));
  EXPECT_EQ(moving->ranges[0].begin, 0);
  EXPECT_EQ(moving->ranges[1].begin, 16);
  EXPECT_EQ(moving->elements, 19);
}

TEST(SelectParameters, AGlobThatMatchesNothingIsRefusedByItsPath) {
  const auto moving = SelectParameters(kParameters, {{"head.*", "tail.*"}, {}});
  EXPECT_EQ(moving.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(moving.status()), "parameters.include[1]");
}

TEST(SelectParameters, NothingLeftToMoveIsRefused) {
  const auto moving = SelectParameters(kParameters, {{}, {"*"}});
  EXPECT_EQ(FieldPath(moving.status()), "parameters");
}

}  // namespace
}  // namespace bif::engine
