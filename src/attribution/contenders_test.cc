#include "src/attribution/contenders.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/attribution/student_t.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

CandidateScore Known(double score, double half_width) {
  return {score, half_width / StudentTQuantile(0.975, 19), 19};
}

TEST(Contenders, IntervalsDecide) {
  // k = 2. The first is in: nobody but the second reaches it. The last is out: two lie above it.
  const std::vector<CandidateScore> candidates = {Known(10, 1), Known(8, 1.5), Known(7, 1),
                                                  Known(6, 0.8), Known(1, 2)};
  const Contenders found = FindContenders(candidates, {.k = 2});
  EXPECT_THAT(found.in, ElementsAre(0));
  EXPECT_THAT(found.leaders, ElementsAre(0, 1));
  EXPECT_THAT(found.undecided, ElementsAre(1, 2, 3));  // the leader, then by upper end
  EXPECT_FALSE(found.separated);
}

TEST(Contenders, TheSmallestScoresAreTheOtherEnd) {
  const std::vector<CandidateScore> candidates = {Known(-10, 1), Known(8, 1), Known(-2, 1)};
  const Contenders found = FindContenders(candidates, {.k = 1, .sign = -1});
  EXPECT_THAT(found.in, ElementsAre(0));
  EXPECT_TRUE(found.separated);
}

TEST(Contenders, AgreeWithTheDefinition) {
  TestRandom random(1);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<CandidateScore> candidates;
    for (int i = 0; i < 40; ++i)
      candidates.push_back({random.Normal(), 0.3 * random.Uniform(), 5 + 20 * random.Uniform()});
    const int k = 1 + repeat % 10;
    const Contenders found = FindContenders(candidates, {.k = k, .confidence = 0.9});
    const std::set<int64_t> in(found.in.begin(), found.in.end());
    const std::set<int64_t> undecided(found.undecided.begin(), found.undecided.end());
    std::vector<double> half;
    for (const CandidateScore& c : candidates)
      half.push_back(StudentTQuantile(0.95, c.degrees) * c.standard_error);
    for (int i = 0; i < 40; ++i) {
      int reach = 0;
      int above = 0;
      for (int j = 0; j < 40; ++j) {
        if (j == i) continue;
        reach += candidates[j].score + half[j] >= candidates[i].score - half[i] ? 1 : 0;
        above += candidates[j].score - half[j] > candidates[i].score + half[i] ? 1 : 0;
      }
      EXPECT_EQ(in.count(i), reach < k ? 1u : 0u);
      EXPECT_EQ(undecided.count(i), reach >= k && above < k ? 1u : 0u);
    }
  }
}

TEST(Contenders, WhatIsUnknownStaysAndGoesFirst) {
  const std::vector<CandidateScore> candidates = {Known(10, 1), Known(5, 1), {0, kInfinity, 1}};
  const Contenders found = FindContenders(candidates, {.k = 1});
  EXPECT_THAT(found.undecided, ElementsAre(0, 2));
}

TEST(Contenders, EqualAndExactScoresAreDecidedByIndex) {
  const std::vector<CandidateScore> candidates(4, CandidateScore{1, 0, 19});
  const Contenders found = FindContenders(candidates, {.k = 2});
  EXPECT_TRUE(found.separated);
  EXPECT_THAT(found.in, ElementsAre(0, 1));
}

TEST(Contenders, FewCandidatesAreAllIn) {
  EXPECT_THAT(FindContenders({Known(1, 9), Known(2, 9)}, {.k = 5}).in, ElementsAre(0, 1));
  EXPECT_THAT(FindContenders({}, {.k = 5}).in, IsEmpty());
}

TEST(Contenders, SimultaneousIntervalsKeepMore) {
  TestRandom random(2);
  std::vector<CandidateScore> candidates;
  for (int i = 0; i < 1000; ++i) candidates.push_back({random.Normal(), 0.3, 19});
  const auto count = [&](bool simultaneous) {
    return FindContenders(candidates, {.k = 10, .simultaneous = simultaneous}).undecided.size();
  };
  EXPECT_GT(count(true), 2 * count(false));
}

TEST(Contenders, ATrueMemberIsKeptAtTheStatedConfidence) {
  TestRandom random(3);
  int kept = 0;
  int members = 0;
  int64_t contenders = 0;
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<double> truth(500);
    std::vector<CandidateScore> candidates;
    for (double& v : truth) {
      v = random.Normal();
      candidates.push_back({v + 0.3 * random.Normal(), 0.3, 1e6});
    }
    std::vector<int64_t> order(truth.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return truth[a] > truth[b]; });
    const Contenders found = FindContenders(candidates, {.k = 20});
    std::set<int64_t> can(found.in.begin(), found.in.end());
    can.insert(found.undecided.begin(), found.undecided.end());
    for (int i = 0; i < 20; ++i) kept += can.count(order[i]) ? 1 : 0;
    members += 20;
    contenders += static_cast<int64_t>(can.size());
  }
  EXPECT_GE(static_cast<double>(kept) / members, 0.975);
  EXPECT_LT(contenders, 200 * 150);  // and most of the 500 are ruled out
}

TEST(RefinementOrder, BothEndsInTurnAndNobodyTwice) {
  Contenders helpful, harmful;
  helpful.undecided = {4, 1, 7};
  harmful.undecided = {2, 4};
  EXPECT_THAT(RefinementOrder(helpful, harmful), ElementsAre(4, 2, 1, 7));
}

TEST(NextRound, SharesTheBudgetAmongTheRoundsToCome) {
  // 160 undecided and k = 20: three rounds. A third of 9,000 buys 6 draws of 160 rows at 3.
  const RefinementRound round = NextRound(160, 20, 9000, {.advance = 20, .row = 3}, 4);
  EXPECT_EQ(round.rows, 160);
  EXPECT_EQ(round.draws, 6);
  EXPECT_DOUBLE_EQ(round.cost, 6 * (20 + 3 * 160));
}

TEST(NextRound, TakesFewerRowsWhereTheBudgetIsSmall) {
  const RefinementRound round = NextRound(1000, 10, 7 * 4 * 320, {.advance = 20, .row = 3}, 4);
  EXPECT_EQ(round.draws, 4);
  EXPECT_EQ(round.rows, 100);
}

TEST(NextRound, NeverCostsMoreThanThereIsAndStops) {
  for (double budget = 1; budget < 1e6; budget *= 1.7) {
    for (const int64_t undecided : {1, 5, 100, 60000}) {
      const RefinementRound round =
          NextRound(undecided, 10, budget, {.advance = 50, .row = 3, .new_stretch = 200}, 4);
      EXPECT_LE(round.cost, budget);
      EXPECT_LE(round.rows, undecided);
      EXPECT_EQ(round.rows == 0, round.draws == 0);
    }
  }
  EXPECT_EQ(NextRound(0, 10, 1e9, {}, 4).rows, 0);
  EXPECT_EQ(NextRound(100, 10, 29, {}, 4).rows, 0);  // ten rows cost 30
  EXPECT_EQ(NextRound(100, 10, 30, {}, 4).rows, 10);
}

// Refining as a service would: noisy scores of all, then means of better draws for those that the
// rounds pick. How much of the true top 20 the answer has.
double Recall(double budget, bool in_order, TestRandom& random) {
  constexpr int kCandidates = 2000;
  constexpr int64_t kTop = 20;
  std::vector<double> truth(kCandidates), sum(kCandidates);
  std::vector<int64_t> draws(kCandidates);
  std::vector<CandidateScore> candidates(kCandidates);
  for (int i = 0; i < kCandidates; ++i) {
    truth[i] = random.Normal();
    candidates[i] = {truth[i] + 0.6 * random.Normal(), 0.6, 19};
  }
  Contenders found;
  while (true) {
    found = FindContenders(candidates, {.k = kTop});
    const RefinementRound round =
        NextRound(static_cast<int64_t>(found.undecided.size()), kTop, budget, {}, 4);
    if (round.rows == 0) break;
    if (!in_order) {  // the control: anybody
      for (int64_t& i : found.undecided) i = static_cast<int64_t>(random.Uniform() * kCandidates);
    }
    budget -= round.cost;
    for (int64_t r = 0; r < round.rows; ++r) {
      const int64_t i = found.undecided[r];
      for (int64_t d = 0; d < round.draws; ++d) sum[i] += truth[i] + random.Normal();
      draws[i] += round.draws;
      candidates[i] = {sum[i] / static_cast<double>(draws[i]),
                       1 / std::sqrt(static_cast<double>(draws[i])), 1e6};
    }
  }
  std::vector<int64_t> order(kCandidates);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return truth[a] > truth[b]; });
  double hits = 0;
  for (int64_t i = 0; i < kTop; ++i)
    hits += std::count(found.leaders.begin(), found.leaders.end(), order[i]) > 0 ? 1 : 0;
  return hits / static_cast<double>(kTop);
}

TEST(Refinement, FindsTheTopWithATenthOfWhatAllWouldCost) {
  TestRandom random(4);
  const double all = 2000 * 3 * 100;  // a hundred draws of every candidate
  double recall = 0;
  double control = 0;
  constexpr int kRepeats = 20;
  for (int i = 0; i < kRepeats; ++i) {
    recall += Recall(0.1 * all, true, random) / kRepeats;
    control += Recall(0.1 * all, false, random) / kRepeats;
  }
  EXPECT_GE(recall, 0.9);
  EXPECT_LT(control, 0.8);
}

}  // namespace
}  // namespace bif::attribution
