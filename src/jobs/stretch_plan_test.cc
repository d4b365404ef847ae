#include "src/jobs/stretch_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace bif::jobs {
namespace {

// Four chains of 100 draws, 10 steps apart, with a state at the end of burn-in and every 200 steps.
StretchNeeds SomeNeeds() {
  StretchNeeds needs;
  for (uint32_t c = 0; c < 4; ++c) needs.chains.push_back({c, {50, 250, 450, 650, 850, 1050}});
  needs.chain_burn_in = 50;
  needs.steps_between_draws = 10;
  needs.draws_per_chain = 100;
  needs.tangent_burn_in = 100;
  needs.relaxation_steps = 25;
  needs.draws = 80;
  needs.rows = 1;
  needs.cost = CostOfReplay(32, 1);
  return needs;
}

int64_t DrawsOf(const StretchPlan& plan) {
  int64_t draws = 0;
  for (const Stretch& stretch : plan.stretches) draws += stretch.draws;
  return draws;
}

TEST(StretchPlan, EveryChainGivesTheSameNumberOfDrawsFromStatesSpreadOverTime) {
  const StretchPlan plan = PlanStretches(SomeNeeds());
  ASSERT_EQ(plan.stretches.size(), 4u);
  EXPECT_EQ(DrawsOf(plan), 80);
  std::set<uint32_t> chains;
  std::set<uint64_t> starts;
  for (const Stretch& stretch : plan.stretches) {
    chains.insert(stretch.chain);
    starts.insert(stretch.from_step);
    EXPECT_EQ(stretch.draws, 20);
    EXPECT_GE(stretch.burn_in(), 100u);
    EXPECT_LE(stretch.burn_in(), 110u);
    EXPECT_EQ((stretch.first_slope - 50) % 10, 0u) << "a slope is taken at a draw";
    EXPECT_LE(stretch.first_slope + 19 * plan.steps_between_slopes, 1050u) << "within the chain";
  }
  EXPECT_EQ(chains.size(), 4u);
  EXPECT_GT(starts.size(), 2u);
  EXPECT_EQ(plan.burn_in(), 100u);
}

TEST(StretchPlan, FewDrawsTakeFewChains) {
  StretchNeeds needs = SomeNeeds();
  needs.draws = 2;
  const StretchPlan two = PlanStretches(needs);
  ASSERT_EQ(two.stretches.size(), 2u);
  EXPECT_EQ(two.stretches[0].chain, 0u);
  EXPECT_EQ(two.stretches[1].chain, 2u);
  needs.draws = 80;
  needs.most_stretches = 3;
  EXPECT_EQ(PlanStretches(needs).stretches.size(), 3u);
  EXPECT_EQ(DrawsOf(PlanStretches(needs)), 80);
}

TEST(StretchPlan, LongStretchesAreCutAtLaterStatesAndDoNotOverlap) {
  StretchNeeds needs = SomeNeeds();
  for (ChainStates& chain : needs.chains) {
    chain.steps.clear();
    for (uint64_t step = 50; step <= 8050; step += 200) chain.steps.push_back(step);
  }
  needs.draws_per_chain = 800;
  needs.draws = 1600;
  const StretchPlan plan = PlanStretches(needs);
  EXPECT_GT(plan.stretches.size(), 8u);
  EXPECT_EQ(DrawsOf(plan), 1600);
  std::map<uint32_t, uint64_t> ends;
  for (const Stretch& stretch : plan.stretches) {
    EXPECT_GT(stretch.first_slope, ends[stretch.chain]);  // 0 for the first
    ends[stretch.chain] =
        stretch.first_slope + static_cast<uint64_t>(stretch.draws - 1) * plan.steps_between_slopes;
    EXPECT_LE(ends[stretch.chain], 8050u);
  }
}

TEST(StretchPlan, WithoutStatesAStretchBeginsAtTheCheckpointAndWaitsForTheChainsBurnIn) {
  StretchNeeds needs = SomeNeeds();
  for (ChainStates& chain : needs.chains) chain.steps.clear();
  needs.chain_burn_in = 500;
  const StretchPlan plan = PlanStretches(needs);
  ASSERT_EQ(plan.stretches.size(), 4u);
  for (const Stretch& stretch : plan.stretches) {
    EXPECT_EQ(stretch.from_step, 0u);
    EXPECT_EQ(stretch.first_slope, 510u);
  }
}

TEST(StretchPlan, AChainThatIsTooShortIsReplayedPastItsEnd) {
  StretchNeeds needs = SomeNeeds();
  needs.draws_per_chain = 5;
  for (ChainStates& chain : needs.chains) chain.steps = {50, 100};
  const StretchPlan plan = PlanStretches(needs);
  EXPECT_EQ(DrawsOf(plan), 80);
  for (const Stretch& stretch : plan.stretches) {
    EXPECT_EQ(stretch.from_step, 50u) << "as little past it as can be";
    EXPECT_GE(stretch.burn_in(), 100u);
  }
}

TEST(StretchPlan, SlopesAreFartherApartWhereRowsAreDear) {
  StretchNeeds needs = SomeNeeds();
  EXPECT_EQ(PlanStretches(needs).steps_between_slopes, 10u);
  needs.rows = 100'000;
  const uint64_t far = PlanStretches(needs).steps_between_slopes;
  EXPECT_GE(far, 40u);
  EXPECT_LE(far, 100u) << "four relaxation times make slopes independent";
  EXPECT_EQ(far % 10, 0u);
}

TEST(StretchPlan, TheCostIsThatOfTheTable) {
  const ReplayCost cost = CostOfReplay(128, 2);
  EXPECT_EQ(cost.step, 3 * 128 + 2 * (6 * 128 + 3));
  EXPECT_EQ(cost.row, 6);
}

}  // namespace
}  // namespace bif::jobs
