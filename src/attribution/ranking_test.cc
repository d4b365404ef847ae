#include "src/attribution/ranking.h"

#include <algorithm>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/attribution/stability.h"
#include "src/attribution/student_t.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

std::vector<int64_t> Indices(const std::vector<RankedCandidate>& ranked) {
  std::vector<int64_t> indices;
  for (const RankedCandidate& c : ranked) indices.push_back(c.candidate);
  return indices;
}

std::vector<ScoreValue> RandomScores(int64_t count, double standard_error, uint64_t seed) {
  TestRandom random(seed);
  std::vector<ScoreValue> scores(count);
  // Few distinct values, so that ties are common.
  for (ScoreValue& s : scores) {
    s = {static_cast<float>(std::round(20 * random.Normal())), static_cast<float>(standard_error),
         false};
  }
  return scores;
}

TEST(Ranking, EqualsSortingEverythingAtBothEnds) {
  const auto scores = RandomScores(5000, 1, 1);
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return scores[a].score < scores[b].score; });
  Ranking ranking(10, 5000, -1);  // negative scores help
  ranking.Add(0, 5000, scores.data(), 1);
  const RankingResult result = ranking.Finish();
  EXPECT_EQ(Indices(result.helpful), std::vector<int64_t>(order.begin(), order.begin() + 10));
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[a].score > scores[b].score || (scores[a].score == scores[b].score && a < b);
  });
  EXPECT_EQ(Indices(result.harmful), std::vector<int64_t>(order.begin(), order.begin() + 10));
}

TEST(Ranking, PartsInAnyOrderMergeToTheSameAnswer) {
  const auto scores = RandomScores(3000, 5, 2);
  Ranking whole(7, 3000, 1);
  whole.Add(0, 3000, scores.data(), 1);
  Ranking late(7, 3000, 1);
  late.Add(2000, 1000, scores.data() + 2000, 1);
  Ranking early(7, 3000, 1);
  early.Add(1000, 1000, scores.data() + 1000, 1);
  early.Add(0, 1000, scores.data(), 1);
  late.Merge(early);
  EXPECT_EQ(Indices(late.Finish().helpful), Indices(whole.Finish().helpful));
  EXPECT_EQ(Indices(late.Finish().harmful), Indices(whole.Finish().harmful));
  EXPECT_EQ(late.Finish().helpful_stability, whole.Finish().helpful_stability);
}

TEST(Ranking, PartsThatKnowEachOthersBoundsMergeToTheSameAnswer) {
  const auto scores = RandomScores(3000, 5, 3);
  for (const int sign : {1, -1}) {
    Ranking whole(7, 3000, sign);
    whole.Add(0, 3000, scores.data(), 1);
    Ranking first(7, 3000, sign);
    first.Add(0, 1500, scores.data(), 1);
    Ranking second(7, 3000, sign);
    second.Raise(first.bounds());
    second.Add(1500, 1500, scores.data() + 1500, 1);
    second.Merge(first);
    EXPECT_EQ(Indices(second.Finish().helpful), Indices(whole.Finish().helpful));
    EXPECT_EQ(Indices(second.Finish().harmful), Indices(whole.Finish().harmful));
    EXPECT_EQ(second.Finish().harmful_stability, whole.Finish().harmful_stability);
  }
}

TEST(Ranking, EqualScoresRankByCandidate) {
  const std::vector<ScoreValue> scores(50, ScoreValue{1, 1, false});
  Ranking ranking(3, 50, 1);
  ranking.Add(0, 50, scores.data(), 1);
  EXPECT_THAT(Indices(ranking.Finish().helpful), testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(Indices(ranking.Finish().harmful), testing::ElementsAre(0, 1, 2));
}

TEST(Ranking, ReadsOneColumnOfAScoreMatrix) {
  const std::vector<ScoreValue> matrix = {{1}, {9}, {2}, {8}, {3}, {7}};
  Ranking ranking(1, 3, 1);
  ranking.Add(0, 3, matrix.data() + 1, 2);
  EXPECT_EQ(ranking.Finish().helpful[0].candidate, 0);
  EXPECT_EQ(ranking.Finish().harmful[0].candidate, 2);
}

double StabilityOf(const std::vector<ScoreValue>& scores, int64_t k) {
  Ranking ranking(k, static_cast<int64_t>(scores.size()), 1);
  ranking.Add(0, static_cast<int64_t>(scores.size()), scores.data(), 1);
  return ranking.Finish().helpful_stability;
}

TEST(Stability, OneWithoutNoiseAndChanceLevelWithoutSignal) {
  EXPECT_NEAR(StabilityOf({{5, 1e-3f}, {4, 1e-3f}, {3, 1e-3f}, {2, 1e-3f}}, 2), 1, 1e-6);
  // Scores that tell nothing: 10 of 10,000 stay by chance alone, so almost none.
  EXPECT_LT(StabilityOf(std::vector<ScoreValue>(10000, {0, 1, false}), 10), 0.01);
  EXPECT_EQ(StabilityOf({{5, 1}, {4, 1}}, 2), 1);
}

TEST(Stability, AgreesWithDrawingManyTimes) {
  TestRandom random(4);
  std::vector<ScoreValue> scores(2000);
  for (ScoreValue& s : scores) s = {static_cast<float>(random.Normal()), 0.4f, false};
  constexpr int64_t kBest = 20;
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return scores[a].score > scores[b].score; });
  double share = 0;
  constexpr int kRepeats = 300;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    std::vector<double> resampled(scores.size());
    for (size_t i = 0; i < scores.size(); ++i)
      resampled[i] = scores[i].score + 0.4 * random.Normal();
    std::vector<double> sorted = resampled;
    std::nth_element(sorted.begin(), sorted.begin() + kBest - 1, sorted.end(), std::greater<>());
    for (int64_t i = 0; i < kBest; ++i) share += resampled[order[i]] >= sorted[kBest - 1];
  }
  share /= kRepeats * kBest;
  EXPECT_NEAR(StabilityOf(scores, kBest), share, 0.02);
}

}  // namespace
}  // namespace bif::attribution
