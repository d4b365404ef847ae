#include "src/attribution/estimator.h"

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
