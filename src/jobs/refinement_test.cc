#include "src/jobs/refinement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bif::jobs {
namespace {

using ::testing::ElementsAre;

ContendersOfBoth InDoubt(std::vector<int64_t> helpful, std::vector<int64_t> harmful) {
  ContendersOfBoth both;
  both.helpful.undecided = std::move(helpful);
  both.harmful.undecided = std::move(harmful);
  return both;
}

// Four stretches of 100 steps of burn-in; slopes every 10 steps.
StretchPlan FourStretches() {
  StretchPlan plan;
  for (uint32_t c = 0; c < 4; ++c) plan.stretches.push_back({c, 500, 600, 20});
  plan.steps_between_slopes = 10;
  return plan;
}

TEST(RowsInDoubt, QueriesAndEndsTakeTurnsAndEveryRowComesOnce) {
  EXPECT_THAT(RowsInDoubt({InDoubt({1, 2, 3}, {9}), InDoubt({2, 7}, {})}, {false, false}),
              ElementsAre(1, 2, 9, 7, 3));
  EXPECT_THAT(RowsInDoubt({InDoubt({1, 2, 3}, {9}), InDoubt({2, 7}, {})}, {true, false}),
              ElementsAre(2, 7));
  EXPECT_TRUE(RowsInDoubt({InDoubt({}, {})}, {false}).empty());
}

TEST(RefinementPlanner, ARoundStaysWithinTheBudgetAndHalfOfItGoesIntoBurnIns) {
  const ReplayCost cost{.step = 10, .row = 3};  // burn-in 1,000, a draw 100 and 3 a row
  for (const double budget : {3000.0, 10'000.0, 100'000.0}) {
    RefinementPlanner planner(FourStretches(), cost, 10);
    const RefinementStep step = planner.Next(200, budget);
    ASSERT_GT(step.rows, 0) << budget;
    const double spent =
        static_cast<double>(step.stretches) * 1000 +
        static_cast<double>(step.draws) * (100 + 3 * static_cast<double>(step.rows));
    EXPECT_LE(spent, budget);
    EXPECT_LE(static_cast<double>(step.stretches) * 1000, budget / 2);
    EXPECT_EQ(step.stretches, budget < 4000 ? 1 : 4);
  }
}

TEST(RefinementPlanner, LaterRoundsPayForNewStretchesOnly) {
  RefinementPlanner planner(FourStretches(), {.step = 10, .row = 3}, 10);
  ASSERT_GT(planner.Next(200, 100'000).rows, 0);
  const RefinementStep step = planner.Next(20, 500);
  EXPECT_EQ(step.stretches, 4);
  EXPECT_GT(step.draws, 0) << "500 would not pay for a burn-in";
}

TEST(RefinementPlanner, ABudgetBelowOneDrawStops) {
  RefinementPlanner planner(FourStretches(), {.step = 10, .row = 3}, 10);
  EXPECT_DOUBLE_EQ(planner.OneDraw(200), 1000 + 100 + 30);
  EXPECT_DOUBLE_EQ(planner.OneDraw(4), 1000 + 100 + 12);
  EXPECT_EQ(planner.Next(200, 1129).rows, 0);
  const RefinementStep step = planner.Next(200, 1130);
  EXPECT_EQ(step.rows, 10);
  EXPECT_EQ(step.draws, 1);
  EXPECT_EQ(step.stretches, 1);
}

TEST(RefinementPlanner, AProbeIsOneDrawOfFewRows) {
  RefinementPlanner planner(FourStretches(), {.step = 10, .row = 3}, 10);
  const RefinementStep step = planner.Probe(5000);
  EXPECT_EQ(step.rows, 64);
  EXPECT_EQ(step.draws, 1);
  EXPECT_EQ(step.stretches, 1);
  EXPECT_EQ(planner.Next(5000, 10'000).stretches, 4);
}

}  // namespace
}  // namespace bif::jobs
