#include "src/attribution/token_matrix.h"

#include <cmath>
#include <tuple>

#include "gtest/gtest.h"
#include "src/attribution/estimator.h"
#include "src/attribution/reference_estimator.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

constexpr int64_t kRows = 7;
constexpr int64_t kColumns = 5;

// Losses of tokens that share some of their ups and downs, with means far from zero.
std::vector<float> TokenTraces(const TraceLayout& layout, int64_t tokens, uint64_t seed) {
  TestRandom shared(1);
  std::vector<double> common(layout.values());
  for (double& v : common) v = shared.Normal();
  TestRandom random(seed);
  std::vector<float> traces;
  for (int64_t s = 0; s < tokens; ++s) {
    for (int64_t t = 0; t < layout.values(); ++t) {
      const double chain = static_cast<double>(t / layout.draws);
      traces.push_back(static_cast<float>(3 + static_cast<double>(s) + 0.2 * chain +
                                          0.1 * common[t] + 0.3 * random.Normal()));
    }
  }
  return traces;
}

struct Scores {
  std::vector<ScoreValue> entries;
  std::vector<ScoreValue> completions;
  ScoreValue total;
};

Scores ScoresOf(const TraceLayout& layout, Estimator estimator, Centring centring,
                const std::vector<float>& rows, const std::vector<float>& columns,
                bool standard_errors = true) {
  const auto matrix =
      TokenMatrix::Create(layout, estimator, centring, rows, columns, standard_errors);
  EXPECT_TRUE(matrix.ok()) << matrix.status();
  Scores scores;
  scores.entries.resize(matrix->rows() * matrix->columns());
  scores.completions.resize(matrix->rows());
  matrix->Score(0, matrix->rows(), absl::MakeSpan(scores.entries),
                absl::MakeSpan(scores.completions));
  scores.total = matrix->total();
  return scores;
}

// The sum of all traces, rounded once.
std::vector<float> SumOf(const TraceLayout& layout, const std::vector<float>& traces) {
  std::vector<float> sum;
  for (int64_t t = 0; t < layout.values(); ++t) {
    double total = 0;
    for (size_t s = 0; s < traces.size(); s += layout.values())
      total += static_cast<double>(traces[s + t]);
    sum.push_back(static_cast<float>(total));
  }
  return sum;
}

using Case = std::tuple<Estimator, Centring, std::tuple<int, int, double>>;
class TokenMatrixTest : public testing::TestWithParam<Case> {
 protected:
  Estimator estimator() const { return std::get<0>(GetParam()); }
  Centring centring() const { return std::get<1>(GetParam()); }
  TraceLayout layout() const {
    const auto& [chains, draws, time] = std::get<2>(GetParam());
    return MakeLayout(chains, draws, time);
  }
};

TEST_P(TokenMatrixTest, EveryEntryIsTheScoreOfItsTwoTraces) {
  const auto rows = TokenTraces(layout(), kRows, 2);
  const auto columns = TokenTraces(layout(), kColumns, 3);
  const Scores scores = ScoresOf(layout(), estimator(), centring(), rows, columns);
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      const float* row = rows.data() + i * layout().values();
      const float* column = columns.data() + j * layout().values();
      const ReferenceScore expected =
          ReferenceScoreOf(layout(), estimator(), centring(), row, column);
      const ScoreValue& score = scores.entries[i * kColumns + j];
      // Tokens that hardly covary have scores near zero: the scale is that of both variances.
      const double scale =
          IsCorrelation(estimator())
              ? 1
              : std::sqrt(
                    ReferenceScoreOf(layout(), Estimator::kCovariance, centring(), row, row).score *
                    ReferenceScoreOf(layout(), Estimator::kCovariance, centring(), column, column)
                        .score);
      EXPECT_NEAR(score.score, expected.score, 1e-5 * scale);
      EXPECT_NEAR(score.standard_error, expected.standard_error, 1e-5 * scale);
      // The same bits as the scorer of whole sequences gives.
      const auto scorer = Scorer::Create(layout(), estimator(), centring(),
                                         absl::MakeSpan(column, layout().values()));
      ScoreValue one;
      scorer->Score(absl::MakeSpan(row, layout().values()), absl::MakeSpan(&one, 1));
      EXPECT_EQ(score.score, one.score);
      EXPECT_EQ(score.standard_error, one.standard_error);
    }
  }
}

TEST_P(TokenMatrixTest, CompletionsAndTotalAreScoresOfSums) {
  const auto rows = TokenTraces(layout(), kRows, 2);
  const auto columns = TokenTraces(layout(), kColumns, 3);
  const std::vector<float> row_sum = SumOf(layout(), rows);
  const std::vector<float> column_sum = SumOf(layout(), columns);
  const Scores scores = ScoresOf(layout(), estimator(), centring(), rows, columns);
  const auto expect = [&](const ScoreValue& score, const float* row) {
    const ReferenceScore expected =
        ReferenceScoreOf(layout(), estimator(), centring(), row, column_sum.data());
    EXPECT_NEAR(score.score, expected.score, 2e-5 * std::abs(expected.score) + 1e-6);
    EXPECT_NEAR(score.standard_error, expected.standard_error,
                2e-5 * expected.standard_error + 1e-6);
    EXPECT_GT(score.standard_error, 0);
  };
  for (int64_t i = 0; i < kRows; ++i)
    expect(scores.completions[i], rows.data() + i * layout().values());
  expect(scores.total, row_sum.data());
}

TEST_P(TokenMatrixTest, CovariancesAddUp) {
  if (IsCorrelation(estimator())) return;
  const Scores scores = ScoresOf(layout(), estimator(), centring(), TokenTraces(layout(), kRows, 2),
                                 TokenTraces(layout(), kColumns, 3));
  double total = 0;
  double scale = 0;
  for (int64_t i = 0; i < kRows; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < kColumns; ++j) {
      sum += static_cast<double>(scores.entries[i * kColumns + j].score);
      scale += std::abs(static_cast<double>(scores.entries[i * kColumns + j].score));
    }
    EXPECT_NEAR(scores.completions[i].score, sum, 1e-6 * scale) << "row " << i;
    total += static_cast<double>(scores.completions[i].score);
  }
  EXPECT_NEAR(scores.total.score, total, 1e-6 * scale);
}

TEST_P(TokenMatrixTest, SwappingTheSequencesTransposes) {
  const auto rows = TokenTraces(layout(), kRows, 2);
  const auto columns = TokenTraces(layout(), kColumns, 3);
  const Scores scores = ScoresOf(layout(), estimator(), centring(), rows, columns);
  const Scores swapped = ScoresOf(layout(), estimator(), centring(), columns, rows);
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      const ScoreValue& one = scores.entries[i * kColumns + j];
      const ScoreValue& other = swapped.entries[j * kRows + i];
      EXPECT_EQ(one.score, other.score);
      EXPECT_EQ(one.standard_error, other.standard_error);
    }
  }
  EXPECT_EQ(scores.total.score, swapped.total.score);
}

INSTANTIATE_TEST_SUITE_P(
    All, TokenMatrixTest,
    testing::Combine(
        testing::Values(Estimator::kBif, Estimator::kNormalizedBif, Estimator::kCovariance,
                        Estimator::kCorrelation),
        testing::Values(Centring::kPooled, Centring::kWithinChain, Centring::kChainMean),
        testing::Values(std::tuple{4, 50, 1.0}, std::tuple{3, 23, 5.0}, std::tuple{1, 9, 2.0})));

const TraceLayout kSmall = MakeLayout(2, 20, 1);

TEST(TokenMatrix, MaskedTokensScoreZeroAndAddNothing) {
  std::vector<float> rows = TokenTraces(kSmall, 4, 2);
  const std::vector<float> columns = TokenTraces(kSmall, 3, 3);
  const std::vector<float> without(rows.begin() + kSmall.values(), rows.end());
  std::fill_n(rows.begin(), kSmall.values(), 0.0f);
  for (const Estimator estimator : {Estimator::kBif, Estimator::kCorrelation}) {
    const Scores scores = ScoresOf(kSmall, estimator, Centring::kPooled, rows, columns);
    for (int64_t j = 0; j < 3; ++j) {
      EXPECT_TRUE(scores.entries[j].constant);
      EXPECT_EQ(scores.entries[j].score, 0);
      EXPECT_EQ(scores.entries[j].standard_error, 0);
    }
    EXPECT_TRUE(scores.completions[0].constant);
    const Scores rest = ScoresOf(kSmall, estimator, Centring::kPooled, without, columns);
    EXPECT_EQ(scores.total.score, rest.total.score);
    EXPECT_EQ(scores.entries[3].score, rest.entries[0].score);
  }
}

TEST(TokenMatrix, AnyCutIntoBlocksOfRowsGivesTheSameScores) {
  const std::vector<float> rows = TokenTraces(kSmall, kRows, 2);
  const std::vector<float> columns = TokenTraces(kSmall, kColumns, 3);
  const Scores whole = ScoresOf(kSmall, Estimator::kBif, Centring::kPooled, rows, columns);
  const auto matrix =
      TokenMatrix::Create(kSmall, Estimator::kBif, Centring::kPooled, rows, columns);
  ASSERT_TRUE(matrix.ok());
  for (int64_t step : {1, 2, 3, 5}) {
    for (int64_t first = 0; first < kRows; first += step) {
      const int64_t count = std::min(step, kRows - first);
      std::vector<ScoreValue> entries(count * kColumns);
      std::vector<ScoreValue> completions(count);
      matrix->Score(first, count, absl::MakeSpan(entries), absl::MakeSpan(completions));
      for (size_t i = 0; i < entries.size(); ++i)
        EXPECT_EQ(entries[i].score, whole.entries[first * kColumns + i].score);
      for (int64_t i = 0; i < count; ++i)
        EXPECT_EQ(completions[i].score, whole.completions[first + i].score);
    }
  }
}

TEST(TokenMatrix, WithoutStandardErrorsTheScoresAreTheSame) {
  const std::vector<float> rows = TokenTraces(kSmall, kRows, 2);
  const std::vector<float> columns = TokenTraces(kSmall, kColumns, 3);
  const Scores with = ScoresOf(kSmall, Estimator::kBif, Centring::kPooled, rows, columns);
  const Scores plain = ScoresOf(kSmall, Estimator::kBif, Centring::kPooled, rows, columns, false);
  for (size_t i = 0; i < with.entries.size(); ++i) {
    EXPECT_NEAR(plain.entries[i].score, with.entries[i].score, 1e-6);
    EXPECT_EQ(plain.entries[i].standard_error, 0);
  }
}

TEST(TokenMatrix, OneDrawOrNoTokenIsRefused) {
  const std::vector<float> one = {1};
  EXPECT_EQ(
      TokenMatrix::Create({1, 1, 1}, Estimator::kBif, Centring::kPooled, one, one).status().code(),
      absl::StatusCode::kInvalidArgument);
  const std::vector<float> two = {1, 2};
  EXPECT_TRUE(TokenMatrix::Create({1, 2, 1}, Estimator::kBif, Centring::kPooled, two, two).ok());
  EXPECT_EQ(
      TokenMatrix::Create({1, 2, 1}, Estimator::kBif, Centring::kPooled, two, {}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bif::attribution
