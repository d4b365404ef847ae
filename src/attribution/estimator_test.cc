#include "src/attribution/estimator.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/attribution/reference_estimator.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

const std::vector<float> kRow = {1, 2, 4, 3, .5, 1.5, 2, 4};
const std::vector<float> kQuery = {2, 1, 0, 1.5, 1, 0, .5, -1};
const TraceLayout kGoldenLayout = {2, 4, 1};

ScoreValue ScoreOf(const TraceLayout& layout, Estimator estimator, Centring centring,
                   const std::vector<float>& row, const std::vector<float>& query) {
  const auto scorer = Scorer::Create(layout, estimator, centring, query);
  EXPECT_TRUE(scorer.ok()) << scorer.status();
  ScoreValue value;
  scorer->Score(row, absl::MakeSpan(&value, 1));
  return value;
}

float Golden(Estimator estimator, Centring centring) {
  return ScoreOf(kGoldenLayout, estimator, centring, kRow, kQuery).score;
}

TEST(Estimator, GoldenNumbersOfTheContract) {
  EXPECT_NEAR(Golden(Estimator::kCovariance, Centring::kPooled), -0.75, 1e-6);
  EXPECT_NEAR(Golden(Estimator::kCorrelation, Centring::kPooled), -0.600245, 1e-6);
  EXPECT_NEAR(Golden(Estimator::kCovariance, Centring::kWithinChain), -1.041667, 1e-6);
  EXPECT_NEAR(Golden(Estimator::kCovariance, Centring::kChainMean), -0.666667, 1e-6);
  EXPECT_NEAR(Golden(Estimator::kCorrelation, Centring::kChainMean), -0.902214, 1e-6);
}

TEST(Estimator, BifIsTheNegativeOfCovarianceAndNormalizedBifOfCorrelation) {
  for (Centring centring : {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
    EXPECT_EQ(Golden(Estimator::kBif, centring), -Golden(Estimator::kCovariance, centring));
    EXPECT_EQ(Golden(Estimator::kNormalizedBif, centring),
              -Golden(Estimator::kCorrelation, centring));
  }
}

TEST(Estimator, CorrelationOfATraceWithItselfIsOne) {
  for (Centring centring : {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
    EXPECT_NEAR(ScoreOf(kGoldenLayout, Estimator::kCorrelation, centring, kRow, kRow).score, 1,
                1e-6);
  }
}

TEST(Estimator, TraceWithoutVarianceScoresZeroAndSaysSo) {
  const std::vector<float> constant(8, 0.1f);
  const std::vector<float> constant_in_chains = {3, 3, 3, 3, 5, 5, 5, 5};
  for (Estimator estimator : {Estimator::kBif, Estimator::kNormalizedBif}) {
    for (Centring centring : {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
      for (const auto& value : {ScoreOf(kGoldenLayout, estimator, centring, constant, kQuery),
                                ScoreOf(kGoldenLayout, estimator, centring, kQuery, constant)}) {
        EXPECT_TRUE(value.constant);
        EXPECT_EQ(value.score, 0);
        EXPECT_EQ(value.standard_error, 0);
      }
      const ScoreValue chains =
          ScoreOf(kGoldenLayout, estimator, centring, constant_in_chains, kQuery);
      EXPECT_EQ(chains.constant, centring != Centring::kPooled);
    }
  }
  EXPECT_FALSE(ScoreOf(kGoldenLayout, Estimator::kBif, Centring::kPooled, kRow, kQuery).constant);
}

TEST(Estimator, TraceThatIsNotFiniteScoresZero) {
  std::vector<float> row = kRow;
  for (float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    row[3] = bad;
    const ScoreValue value =
        ScoreOf(kGoldenLayout, Estimator::kNormalizedBif, Centring::kPooled, row, kQuery);
    EXPECT_TRUE(value.constant);
    EXPECT_EQ(value.score, 0);
  }
}

TEST(Estimator, OneDrawIsNotEnough) {
  const std::vector<float> one = {1};
  EXPECT_EQ(Scorer::Create({1, 1, 1}, Estimator::kBif, Centring::kPooled, one).status().code(),
            absl::StatusCode::kInvalidArgument);
  const std::vector<float> two = {1, 2};
  EXPECT_TRUE(Scorer::Create({2, 1, 1}, Estimator::kBif, Centring::kPooled, two).ok());
  EXPECT_EQ(Scorer::Create({2, 1, 1}, Estimator::kBif, Centring::kWithinChain, two).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Estimator, TwoDrawsHaveAScoreAndNoErrorBar) {
  const ScoreValue value =
      ScoreOf({1, 2, 1}, Estimator::kCovariance, Centring::kPooled, {1, 2}, {3, 5});
  EXPECT_FLOAT_EQ(value.score, 1);
  EXPECT_TRUE(std::isinf(value.standard_error));
  EXPECT_FALSE(Distinguishable(value, 2));
}

// Losses with a large mean and a small spread, which fp32 products would ruin without centring.
TEST(Estimator, BadlyCentredTracesAgreeWithDoublePrecision) {
  for (double mean : {0.0, 0.3, 1e3}) {
    for (double rho : {0.0, 0.9}) {
      const TraceLayout layout = MakeLayout(4, 403, 7);
      TestRandom random(17);
      std::vector<float> traces(2 * layout.values());
      double shared = 0;
      for (int64_t t = 0; t < layout.values(); ++t) {
        shared = rho * shared + random.Normal();
        traces[t] = static_cast<float>(mean + shared + random.Normal());
        traces[layout.values() + t] =
            static_cast<float>(-2 * mean + 0.1 * (shared + random.Normal()));
      }
      const float* row = traces.data();
      const float* query = row + layout.values();
      for (Estimator estimator : {Estimator::kBif, Estimator::kCorrelation}) {
        for (Centring centring :
             {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
          const ReferenceScore expected = ReferenceScoreOf(layout, estimator, centring, row, query);
          const ScoreValue value =
              ScoreOf(layout, estimator, centring, {row, row + layout.values()},
                      {query, query + layout.values()});
          EXPECT_NEAR(value.score, expected.score, 1e-5 * std::abs(expected.score)) << mean;
          EXPECT_NEAR(value.standard_error, expected.standard_error, 1e-5 * expected.standard_error)
              << mean;
        }
      }
    }
  }
}

TEST(Estimator, ManyQueriesAtOnceEqualOneByOne) {
  const TraceLayout layout = MakeLayout(3, 50, 2);
  TestRandom random(3);
  std::vector<float> rows(7 * layout.values());
  std::vector<float> queries(5 * layout.values());
  for (float& v : rows) v = static_cast<float>(random.Normal());
  for (float& v : queries) v = static_cast<float>(random.Normal());
  const auto scorer =
      Scorer::Create(layout, Estimator::kNormalizedBif, Centring::kWithinChain, queries);
  ASSERT_TRUE(scorer.ok());
  std::vector<ScoreValue> scores(7 * 5);
  scorer->Score(rows, absl::MakeSpan(scores));
  for (int i = 0; i < 7; ++i) {
    for (int j = 0; j < 5; ++j) {
      const float* row = rows.data() + i * layout.values();
      const float* query = queries.data() + j * layout.values();
      const ScoreValue one =
          ScoreOf(layout, Estimator::kNormalizedBif, Centring::kWithinChain,
                  {row, row + layout.values()}, {query, query + layout.values()});
      EXPECT_EQ(scores[i * 5 + j].score, one.score);
      EXPECT_EQ(scores[i * 5 + j].standard_error, one.standard_error);
    }
  }
}

TEST(Estimator, RankingRowsEqualsScoringThemAndAddingTheScores) {
  const TraceLayout layout{3, 67, 13};
  constexpr int64_t kRows = 1501, kQueries = 3;
  TestRandom random(7);
  std::vector<float> traces(kRows * layout.values());
  for (float& value : traces) value = static_cast<float>(random.Normal());
  std::fill_n(traces.begin() + layout.values(), layout.values(), 1.0f);  // a constant one
  for (Estimator estimator : {Estimator::kBif, Estimator::kNormalizedBif}) {
    const auto scorer = Scorer::Create(layout, estimator, Centring::kPooled,
                                       absl::MakeSpan(traces).last(kQueries * layout.values()));
    ASSERT_TRUE(scorer.ok());
    std::vector<ScoreValue> scores(kRows * kQueries);
    scorer->Score(traces, absl::MakeSpan(scores));
    std::vector<Ranking> rankings(kQueries, Ranking(5, kRows, -1));
    scorer->Rank(traces, 0, absl::MakeSpan(rankings));
    for (int64_t q = 0; q < kQueries; ++q) {
      Ranking added(5, kRows, -1);
      added.Add(0, kRows, scores.data() + q, kQueries);
      const RankingResult expected = added.Finish();
      const RankingResult ranked = rankings[q].Finish();
      EXPECT_EQ(ranked.helpful_stability, expected.helpful_stability);
      EXPECT_EQ(ranked.harmful_stability, expected.harmful_stability);
      for (size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(ranked.helpful[i].candidate, expected.helpful[i].candidate);
        EXPECT_EQ(ranked.helpful[i].value.score, expected.helpful[i].value.score);
        EXPECT_EQ(ranked.harmful[i].candidate, expected.harmful[i].candidate);
        EXPECT_EQ(ranked.harmful[i].value.standard_error, expected.harmful[i].value.standard_error);
      }
    }
  }
}

// Scores that differ in their last bits only, of large numbers, among what is constant or not
// finite.
TEST(Estimator, RankingIsExactWhereScoresNearlyTie) {
  const TraceLayout layout{3, 67, 13};
  constexpr int64_t kRows = 1201, kQueries = 2;
  TestRandom random(11);
  std::vector<float> traces((kRows + kQueries) * layout.values());
  for (size_t i = 0; i < traces.size(); ++i) {
    const size_t draw = i % static_cast<size_t>(layout.values());
    traces[i] = static_cast<float>(std::sin(static_cast<double>(draw)) + 3e-8 * random.Normal());
  }
  const absl::Span<const float> rows = absl::MakeSpan(traces).first(kRows * layout.values());
  for (int64_t row = 3; row < kRows; row += 100)
    std::fill_n(traces.begin() + row * layout.values(), layout.values(), 1e-20f);
  traces[5 * layout.values()] = std::numeric_limits<float>::infinity();
  traces[9 * layout.values()] = std::numeric_limits<float>::quiet_NaN();
  for (Centring centring : {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
    for (Estimator estimator : {Estimator::kBif, Estimator::kCorrelation}) {
      const auto scorer = Scorer::Create(layout, estimator, centring,
                                         absl::MakeSpan(traces).last(kQueries * layout.values()));
      ASSERT_TRUE(scorer.ok());
      std::vector<ScoreValue> scores(kRows * kQueries);
      scorer->Score(rows, absl::MakeSpan(scores));
      std::vector<Ranking> rankings(kQueries, Ranking(60, kRows, 1));
      scorer->Rank(rows, 0, absl::MakeSpan(rankings));
      for (int64_t q = 0; q < kQueries; ++q) {
        Ranking added(60, kRows, 1);
        added.Add(0, kRows, scores.data() + q, kQueries);
        const RankingResult expected = added.Finish();
        const RankingResult ranked = rankings[q].Finish();
        for (size_t i = 0; i < 60; ++i) {
          ASSERT_EQ(ranked.helpful[i].candidate, expected.helpful[i].candidate) << i;
          ASSERT_EQ(ranked.harmful[i].candidate, expected.harmful[i].candidate) << i;
          ASSERT_EQ(ranked.harmful[i].value.score, expected.harmful[i].value.score) << i;
        }
      }
    }
  }
}

// A tile of the same row four times, and of one query twice, of which the second wants nothing.
class OnePair {
 public:
  OnePair(const PairScorer& pairs, const float* row, const float* query)
      : pairs_(pairs),
        row_numbers_(row, static_cast<size_t>(pairs.layout().values())),
        query_numbers_(query),
        row_(pairs.NewTrace()),
        query_(pairs.NewTrace()) {
    pairs.Load(row, row_);
    pairs.Load(query, query_);
    PairScorer::Scratch scratch = pairs.NewScratch();
    score = pairs.Score(row_, query_, scratch).score;
  }
  bool Passes(float high, float low) const {
    constexpr float kNever = std::numeric_limits<float>::infinity();
    const ScreenQuery query = pairs_.ScreenOf(query_numbers_, query_);
    std::vector<float> shifted(row_numbers_.size() + kLanes);
    const float norm = ShiftRow(row_numbers_, shifted.data());
    const float* const x[kTileRows] = {shifted.data(), shifted.data(), shifted.data(),
                                       shifted.data()};
    const float* const y[kTileColumns] = {query.numbers(), query.numbers()};
    TileTerms rows, columns;
    TileBounds bounds;
    for (int64_t a = 0; a < kTileRows; ++a) rows.SetRow(a, pairs_.ScreenTermsOf(norm, row_));
    for (int64_t b = 0; b < kTileColumns; ++b) columns.SetColumn(b, query.terms());
    bounds.SetColumn(0, high, low);
    bounds.SetColumn(1, kNever, -kNever);
    const auto length = static_cast<int64_t>((row_numbers_.size() + kLanes - 1) / kLanes * kLanes);
    const uint32_t passing = PassingPairs(length, x, y, rows, columns, bounds);
    EXPECT_TRUE(passing == 0 || passing == 0b01010101u) << passing;
    return passing != 0;
  }

  float score = 0;

 private:
  const PairScorer& pairs_;
  absl::Span<const float> row_numbers_;
  const float* query_numbers_;
  CentredTrace row_, query_;
};

// With a bound of 0 on the rounding, a part of these would be held back.
TEST(PairScreen, PassesEveryScoreThatReachesABoundAndNoneThatFallsShort) {
  const TraceLayout layout{2, 499, 50};
  TestRandom random(12);
  std::vector<float> traces(2 * layout.values());
  for (Centring centring : {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
    for (Estimator estimator : {Estimator::kBif, Estimator::kCorrelation}) {
      const auto pairs = PairScorer::Create(layout, estimator, centring, true);
      ASSERT_TRUE(pairs.ok());
      for (int repeat = 0; repeat < 200; ++repeat) {
        for (float& value : traces) value = static_cast<float>(5 + random.Normal());
        for (int64_t i = 0; i < layout.values(); ++i)
          traces[i] += 0.3f * traces[layout.values() + i];
        const OnePair pair(*pairs, traces.data(), traces.data() + layout.values());
        EXPECT_TRUE(pair.Passes(pair.score, -1e9f));
        EXPECT_TRUE(pair.Passes(1e9f, pair.score));
        const float apart = 1e-3f;  // of a score that is about 0.3
        EXPECT_FALSE(pair.Passes(pair.score + apart, pair.score - apart));
      }
    }
  }
}

TEST(Estimator, ScoresWithoutStandardErrorsAreTheSameScores) {
  const TraceLayout layout = MakeLayout(2, 3000, 1);  // longer than one fp32 sum
  TestRandom random(5);
  std::vector<float> trace(2 * layout.values());
  for (float& v : trace) v = static_cast<float>(10 + random.Normal());
  const absl::Span<const float> row = absl::MakeSpan(trace).first(layout.values());
  const absl::Span<const float> query = absl::MakeSpan(trace).subspan(layout.values());
  const auto plain =
      Scorer::Create(layout, Estimator::kCovariance, Centring::kPooled, query, false);
  ASSERT_TRUE(plain.ok());
  ScoreValue value;
  plain->Score(row, absl::MakeSpan(&value, 1));
  const ReferenceScore expected =
      ReferenceScoreOf(layout, Estimator::kCovariance, Centring::kPooled, row.data(), query.data());
  EXPECT_NEAR(value.score, expected.score, 1e-5);
  EXPECT_EQ(value.standard_error, 0);
  EXPECT_FALSE(Distinguishable(value, plain->t_quantile()));
}

TEST(Estimator, SelfVarianceIsTheCovarianceOfATraceWithItself) {
  std::vector<float> rows = kRow;
  rows.insert(rows.end(), 8, 2.5f);
  std::vector<ScoreValue> scores(2);
  SelfVariance(kGoldenLayout, Centring::kPooled, rows, absl::MakeSpan(scores));
  const ScoreValue expected =
      ScoreOf(kGoldenLayout, Estimator::kCovariance, Centring::kPooled, kRow, kRow);
  EXPECT_FLOAT_EQ(scores[0].score, expected.score);
  EXPECT_FLOAT_EQ(scores[0].standard_error, expected.standard_error);
  EXPECT_TRUE(scores[1].constant);
}

TEST(Estimator, SignSaysHelpsOrHurts) {
  const ScoreValue negative{-1, 0.1f, false};
  const ScoreValue positive{1, 0.1f, false};
  EXPECT_EQ(SignWord(negative, HelpfulSign(Estimator::kBif, true)), "helps");
  EXPECT_EQ(SignWord(positive, HelpfulSign(Estimator::kBif, true)), "hurts");
  EXPECT_EQ(SignWord(positive, HelpfulSign(Estimator::kCorrelation, true)), "helps");
  EXPECT_EQ(SignWord(positive, HelpfulSign(Estimator::kNormalizedBif, false)), "helps");
  EXPECT_EQ(SignWord(positive, HelpfulSign(Estimator::kCovariance, false)), "hurts");
  EXPECT_EQ(SignWord({0, 0, true}, 1), "neutral");
}

TEST(Estimator, DistinguishableIfTheIntervalLeavesOutZero) {
  EXPECT_TRUE(Distinguishable({2.1f, 1, false}, 2));
  EXPECT_TRUE(Distinguishable({-2.1f, 1, false}, 2));
  EXPECT_FALSE(Distinguishable({1.9f, 1, false}, 2));
  EXPECT_FALSE(Distinguishable({0, 0, true}, 2));
}

}  // namespace
}  // namespace bif::attribution
