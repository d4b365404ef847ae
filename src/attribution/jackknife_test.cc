#include "src/attribution/jackknife.h"

#include <tuple>

#include "gtest/gtest.h"
#include "src/attribution/estimator.h"
#include "src/attribution/reference_estimator.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

TEST(Layout, BlocksCoverEveryDrawOnceAndStayInTheirChain) {
  for (const auto& [chains, draws, time] : {std::tuple{4, 100, 1.0},
                                            {4, 103, 7.5},
                                            {1, 37, 3.0},
                                            {15, 1000, 2.0},
                                            {30, 10, 1.0},
                                            {3, 5, 50.0}}) {
    const TraceLayout layout = MakeLayout(chains, draws, time);
    const BlockPlan plan = MakePlan(layout, Centring::kPooled);
    int64_t next = 0;
    for (const Block& block : plan.blocks) {
      EXPECT_EQ(block.begin, next);
      EXPECT_GE(block.size, 1);
      EXPECT_EQ(block.begin / draws, (block.begin + block.size - 1) / draws);
      next = block.begin + block.size;
    }
    EXPECT_EQ(next, layout.values());
    EXPECT_GE(plan.blocks.size(), 4u);
  }
}

TEST(Layout, AboutTwentyBlocksWhereThereAreDrawsEnough) {
  EXPECT_EQ(MakePlan(MakeLayout(4, 100, 1), Centring::kPooled).blocks.size(), 20u);
  EXPECT_EQ(MakePlan(MakeLayout(2, 100, 1), Centring::kPooled).blocks.size(), 20u);
  EXPECT_EQ(MakePlan(MakeLayout(1, 100, 1), Centring::kPooled).blocks.size(), 20u);
}

TEST(Layout, BlocksAreAtLeastAsLongAsTheAutocorrelationTime) {
  for (double time : {1.0, 3.0, 12.5, 40.0}) {
    for (const Block& block : MakePlan(MakeLayout(4, 100, time), Centring::kPooled).blocks)
      EXPECT_GE(block.size, time);
  }
}

TEST(Layout, ChainMeanHasBlocksOfItsOwn) {
  EXPECT_EQ(MakePlan(MakeLayout(4, 100, 1), Centring::kChainMean).blocks.size(), 5u);
  EXPECT_EQ(MakePlan(MakeLayout(20, 100, 1), Centring::kChainMean).blocks.size(), 4u);
}

using Case = std::tuple<Estimator, Centring, std::tuple<int, int, double>>;
class JackknifeAgainstBruteForce : public testing::TestWithParam<Case> {};

TEST_P(JackknifeAgainstBruteForce, LeavingBlocksOutBySumsEqualsRemovingTheirDraws) {
  const auto& [estimator, centring, shape] = GetParam();
  const auto& [chains, draws, time] = shape;
  const TraceLayout layout = MakeLayout(chains, draws, time);
  TestRandom random(11);
  std::vector<float> row(layout.values());
  std::vector<float> query(layout.values());
  for (int64_t t = 0; t < layout.values(); ++t) {
    const double chain_shift = 0.5 * static_cast<double>(t / draws);
    query[t] = static_cast<float>(2 + chain_shift + random.Normal());
    row[t] = static_cast<float>(1 - chain_shift + 0.5 * query[t] + random.Normal());
  }
  const auto scorer = Scorer::Create(layout, estimator, centring, query);
  ASSERT_TRUE(scorer.ok());
  ScoreValue value;
  scorer->Score(row, absl::MakeSpan(&value, 1));
  const ReferenceScore expected =
      ReferenceScoreOf(layout, estimator, centring, row.data(), query.data());
  EXPECT_NEAR(value.score, expected.score, 1e-5 * std::abs(expected.score));
  EXPECT_NEAR(value.standard_error, expected.standard_error, 1e-5 * expected.standard_error);
  EXPECT_GT(value.standard_error, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, JackknifeAgainstBruteForce,
    testing::Combine(testing::Values(Estimator::kBif, Estimator::kNormalizedBif,
                                     Estimator::kCovariance, Estimator::kCorrelation),
                     testing::Values(Centring::kPooled, Centring::kWithinChain,
                                     Centring::kChainMean),
                     testing::Values(std::tuple{4, 100, 1.0}, std::tuple{3, 47, 5.0},
                                     std::tuple{1, 30, 2.0}, std::tuple{6, 12, 30.0})));

}  // namespace
}  // namespace bif::attribution
