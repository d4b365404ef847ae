// Slopes to scores, and scores of slopes beside those of traces.
#include "src/jobs/slope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/jobs/pair_scores.h"

namespace bif::jobs {
namespace {

using attribution::Estimator;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Two queries, three stretches. slope = 100 query + 10 row + draw's own value.
SlopeTable TwoQueries() {
  SlopeTable table;
  for (uint32_t s = 0; s < 3; ++s) table.plan.stretches.push_back({s, 0, 10, 4});
  table.queries = 2;
  table.lost.assign(2, std::vector<bool>(3, false));
  return table;
}
void AddRound(SlopeTable& table, std::vector<uint32_t> rows,
              const std::vector<std::pair<uint32_t, float>>& draws, int64_t room) {
  auto round = std::make_shared<SlopeRound>(std::move(rows), table.queries, room);
  for (size_t d = 0; d < draws.size(); ++d) {
    round->stretches.push_back(draws[d].first);
    for (int64_t q = 0; q < table.queries; ++q) {
      for (size_t r = 0; r < round->rows.size(); ++r) {
        round
            ->slopes[(static_cast<size_t>(q) * round->rows.size() + r) * static_cast<size_t>(room) +
                     d] = 100.0f * static_cast<float>(q) +
                          10.0f * static_cast<float>(round->rows[r]) + draws[d].second;
      }
    }
  }
  table.rounds.push_back(round);
}

TEST(SlopeTable, AScoreIsTheMeanOverTheDrawsOfItsRowsOwnRounds) {
  SlopeTable table = TwoQueries();
  AddRound(table, {1, 4, 7}, {{0, 1}, {1, 2}, {2, 3}}, 3);
  AddRound(table, {4}, {{0, 5}, {1, 9}}, 4);  // room for more than were taken
  const auto scores = *ScoreSlopes(table, 1);
  ASSERT_EQ(scores.size(), 2u) << "rows of one round, and the row of both";
  for (const SlopeScores& group : scores) {
    if (group.rows == std::vector<uint32_t>{4}) {
      EXPECT_EQ(group.draws, 5);
      EXPECT_EQ(group.stretches, 3);
      EXPECT_FLOAT_EQ(group.scores[0].score, 140 + 20.0f / 5);
    } else {
      EXPECT_EQ(group.rows, (std::vector<uint32_t>{1, 7}));
      EXPECT_EQ(group.draws, 3);
      EXPECT_FLOAT_EQ(group.scores[0].score, 110 + 2);
      EXPECT_FLOAT_EQ(group.scores[1].score, 170 + 2);
      EXPECT_FLOAT_EQ(group.scores[0].standard_error, std::sqrt(1.0f / 3));
    }
  }
  EXPECT_EQ(DrawsOf(table), 5);
  EXPECT_EQ(table.bytes(), static_cast<int64_t>(sizeof(float) * (2 * 9 + 2 * 4 + 4)));
}

TEST(SlopeTable, ALostStretchIsLeftOutForItsQueryAlone) {
  SlopeTable table = TwoQueries();
  AddRound(table, {0}, {{0, 1}, {1, 1000}, {2, 3}, {0, 2}, {1, 1000}, {2, 2}}, 6);
  table.lost[0][1] = true;
  const auto without = *ScoreSlopes(table, 0);
  ASSERT_EQ(without.size(), 1u);
  EXPECT_EQ(without[0].stretches, 2);
  EXPECT_EQ(without[0].draws, 4);
  EXPECT_FLOAT_EQ(without[0].scores[0].score, 2);
  EXPECT_GT((*ScoreSlopes(table, 1))[0].scores[0].score, 300);
  table.lost[0] = {true, true, true};
  EXPECT_TRUE(ScoreSlopes(table, 0)->empty());
}

TEST(SlopeTable, NothingTakenIsNoScore) { EXPECT_TRUE(ScoreSlopes(TwoQueries(), 0)->empty()); }

TraceScores ThreeRows() {
  return {{{1, 0.5f, false}, {2, 0.5f, false}, {3, 0.5f, false}}, 19, 2.09};
}
SlopeScores SlopesOfRowOne(float standard_error) {
  SlopeScores slopes;
  slopes.rows = {1};
  slopes.scores = {{2.5f, standard_error, false}};
  slopes.degrees = 7;
  slopes.t_quantile = 2.36;
  return slopes;
}

TEST(PairScores, SlopesTakeThePlaceOfTracesWhereThereAreAny) {
  const TraceScores traces = ThreeRows();
  std::vector<PairScore> scores = PairScoresOf(traces);
  AddSlopes(Estimator::kPathwise, {SlopesOfRowOne(0.1f)}, &traces, absl::MakeSpan(scores));
  EXPECT_EQ(scores[0].value.score, 1);
  EXPECT_EQ(scores[0].t_quantile, 2.09);
  EXPECT_FALSE(scores[0].has_slopes);
  EXPECT_EQ(scores[1].value.score, 2.5f);
  EXPECT_EQ(scores[1].degrees, 7);
  EXPECT_TRUE(scores[1].has_slopes);
}

TEST(PairScores, WithoutAnErrorBarSlopesDoNotReplaceTraces) {
  const TraceScores traces = ThreeRows();
  for (const Estimator estimator : {Estimator::kPathwise, Estimator::kMixed}) {
    std::vector<PairScore> scores = PairScoresOf(traces);
    AddSlopes(estimator, {SlopesOfRowOne(kInfinity)}, &traces, absl::MakeSpan(scores));
    EXPECT_EQ(scores[1].value.score, 2);
    EXPECT_FALSE(scores[1].has_slopes);
  }
  std::vector<PairScore> alone(3);
  AddSlopes(Estimator::kPathwise, {SlopesOfRowOne(kInfinity)}, nullptr, absl::MakeSpan(alone));
  EXPECT_EQ(alone[1].value.score, 2.5f) << "there is nothing else";
}

TEST(PairScores, MixedLiesBetweenTheTwo) {
  const TraceScores traces = ThreeRows();
  std::vector<PairScore> scores = PairScoresOf(traces);
  const Mixture mixture =
      AddSlopes(Estimator::kMixed, {SlopesOfRowOne(0.1f)}, &traces, absl::MakeSpan(scores));
  EXPECT_GT(scores[1].value.score, 2);
  EXPECT_LT(scores[1].value.score, 2.5f);
  EXPECT_GT(mixture.pathwise_weight, 0.5);
  EXPECT_EQ(mixture.share_that_disagree, 0);
}

TEST(PairScores, ContendersAreThoseWhoseIntervalsReachTheBoundary) {
  std::vector<PairScore> scores(6);
  for (size_t i = 0; i < scores.size(); ++i)
    scores[i] = {{static_cast<float>(i), i < 3 ? 1.0f : 0.01f, false}, 19, 2.09, i == 5};
  const ContendersOfBoth both = FindContendersOfBoth(scores, 1, -1, false);
  EXPECT_GT(both.helpful.undecided.size(), 1u) << "0, 1 and 2 are close";
  EXPECT_TRUE(both.harmful.separated) << "5 is the largest beyond doubt";
  const RefinedCandidates refined = Describe(both, scores);
  EXPECT_EQ(refined.refined, 1u);
  EXPECT_EQ(refined.harmful_decided, 1u);
  EXPECT_EQ(refined.harmful_undecided, 0u);
  const attribution::RankingResult ranked = RankPairs(scores, 2, -1);
  EXPECT_EQ(ranked.helpful[0].candidate, 0);
  EXPECT_EQ(ranked.harmful[0].candidate, 5);
}

}  // namespace
}  // namespace bif::jobs
