// Against the linear model, whose posterior without a group is another Gaussian, known exactly.
#include "src/attribution/group.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "src/attribution/estimator.h"
#include "src/attribution/test_linear_model.h"

namespace bif::attribution {
namespace {

constexpr int kRows = 60;
constexpr double kNbeta = 90;

LinearModel Model() { return LinearModel(kRows, 1, 5, kNbeta, 10, 4); }

double GroupBif(const LinearModel& model, const std::vector<int>& group) {
  double sum = 0;
  for (const int i : group) sum += model.Bif(i, kRows);
  return sum;
}

ScoreValue Exactly(double score) { return {static_cast<float>(score), 0, false}; }

// The query's expected loss once the group's weight is (1 - part) of what it was.
double ChangeOfExpectedLoss(const std::vector<int>& group, double part) {
  LinearModel model = Model();
  const double before = model.ExpectedLoss(kRows);
  for (const int i : group) model.SetWeight(i, (1 - part) * kNbeta / kRows);
  model.Solve();
  return model.ExpectedLoss(kRows) - before;
}

TEST(Removal, IsExactToFirstOrderInTheGroupsWeight) {
  const std::vector<int> group = {3, 17, 20, 41};
  const double whole =
      PredictRemoval(Exactly(GroupBif(Model(), group)), Estimator::kBif, kNbeta, kRows, 2)->change;
  double error_before = 0;
  for (const double part : {0.1, 0.05, 0.025}) {
    const double error = std::abs(ChangeOfExpectedLoss(group, part) - part * whole);
    EXPECT_LT(error, 0.2 * part * std::abs(whole));
    if (error_before > 0) {
      EXPECT_NEAR(error_before / error, 4, 0.4);  // second order
    }
    error_before = error;
  }
}

TEST(Removal, OfOneSampleIsCloseToThePosteriorWithoutIt) {
  // Over all samples, one at a time: leverage is below 0.2 here.
  const LinearModel model = Model();
  double error = 0;
  double scale = 0;
  for (int i = 0; i < kRows; ++i) {
    const double exact = ChangeOfExpectedLoss({i}, 1);
    const double predicted =
        PredictRemoval(Exactly(model.Bif(i, kRows)), Estimator::kBif, kNbeta, kRows, 2)->change;
    error += (predicted - exact) * (predicted - exact);
    scale += exact * exact;
  }
  EXPECT_LT(std::sqrt(error / scale), 0.25);
}

TEST(Removal, SignsAreThoseOfHelpAndHarm) {
  // A negative BIF helps a loss: without the group the loss rises.
  const auto helped = PredictRemoval({-6, 0.5, false}, Estimator::kBif, 30, 10, 2);
  ASSERT_TRUE(helped.ok());
  EXPECT_DOUBLE_EQ(helped->change, 18);
  EXPECT_DOUBLE_EQ(helped->standard_error, 1.5);
  EXPECT_DOUBLE_EQ(helped->low, 15);
  EXPECT_DOUBLE_EQ(helped->high, 21);
  EXPECT_DOUBLE_EQ(PredictRemoval({6, 0.5, false}, Estimator::kCovariance, 30, 10, 2)->change, 18);
}

TEST(Removal, WithoutAnErrorTheIntervalIsEverything) {
  const ScoreValue unsure{1, std::numeric_limits<float>::infinity(), false};
  const auto prediction = PredictRemoval(unsure, Estimator::kBif, 30, 10, 0);
  ASSERT_TRUE(prediction.ok());
  EXPECT_EQ(prediction->low, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(prediction->high, std::numeric_limits<double>::infinity());
  const auto constant = PredictRemoval({0, 0, true}, Estimator::kBif, 30, 10, 0);
  EXPECT_EQ(constant->low, 0);
  EXPECT_EQ(constant->high, 0);
}

TEST(Removal, RefusesWhatHasNoUnits) {
  const auto code = [](Estimator estimator, double nbeta, int64_t rows) {
    return PredictRemoval({1, 1, false}, estimator, nbeta, rows, 2).status().code();
  };
  EXPECT_EQ(code(Estimator::kNormalizedBif, 30, 10), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Estimator::kCorrelation, 30, 10), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Estimator::kBif, 0, 10), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Estimator::kBif, 30, 0), absl::StatusCode::kInvalidArgument);
}

// Draws of the posterior itself: traces of all samples and of the query.
struct Traces {
  TraceLayout layout;
  std::vector<float> rows;
  std::vector<float> query;
};

Traces Draw(const LinearModel& model, int64_t draws, uint64_t seed) {
  Traces traces{MakeLayout(4, draws, 1), std::vector<float>(kRows * 4 * draws),
                std::vector<float>(4 * draws)};
  for (int c = 0; c < 4; ++c) {
    LinearChain chain(model, 2e-3, 0, 10 * seed + c);
    chain.Advance(400);
    for (int64_t t = c * draws; t < (c + 1) * draws; ++t) {
      chain.Advance(20);
      for (int i = 0; i < kRows; ++i)
        traces.rows[i * 4 * draws + t] = static_cast<float>(chain.Loss(i));
      traces.query[t] = static_cast<float>(chain.Loss(kRows));
    }
  }
  return traces;
}

ScoreValue GroupScore(const Traces& traces, const std::vector<int>& group, float offset = 0) {
  const int64_t values = traces.layout.values();
  GroupTrace sum(values);
  std::vector<float> trace(values);
  for (const int i : group) {
    for (int64_t t = 0; t < values; ++t) trace[t] = traces.rows[i * values + t] + offset;
    sum.Add(trace);
  }
  const auto scorer =
      Scorer::Create(traces.layout, Estimator::kBif, Centring::kPooled, traces.query);
  ScoreValue value;
  scorer->Score(sum.Row(true), absl::MakeSpan(&value, 1));
  return value;
}

TEST(GroupTrace, ItsScoreIsTheSumOfTheScoresAndItsErrorIsNot) {
  const Traces traces = Draw(Model(), 200, 1);
  const std::vector<int> group = {0, 5, 7, 30, 31, 44};
  const auto scorer =
      Scorer::Create(traces.layout, Estimator::kBif, Centring::kPooled, traces.query);
  std::vector<ScoreValue> scores(kRows);
  scorer->Score(traces.rows, absl::MakeSpan(scores));
  double sum = 0;
  double errors = 0;
  for (const int i : group) {
    sum += scores[i].score;
    errors += scores[i].standard_error;
  }
  const ScoreValue value = GroupScore(traces, group);
  EXPECT_NEAR(value.score, sum, 1e-5 * errors);
  EXPECT_LT(value.standard_error, 0.9 * errors);
  // A constant adds nothing, and a large one costs no more digits than fp32 losses have lost.
  EXPECT_NEAR(GroupScore(traces, group, 64).score, sum, 1e-3 * errors);
}

TEST(GroupTrace, WeightsAndMembersCount) {
  GroupTrace group(3);
  group.Add({1, 2, 3});
  group.Add({1, 0, -1}, 2);
  EXPECT_EQ(group.members(), 2);
  EXPECT_EQ(group.Row(false), (std::vector<float>{3, 2, 1}));
  EXPECT_EQ(group.Row(true), (std::vector<float>{1, 0, -1}));
}

TEST(Removal, IntervalsOf95PercentCoverTheFirstOrderChangeIn93To97Percent) {
  const LinearModel model = Model();
  const std::vector<int> group = {3, 17, 20, 41, 50, 51, 52, 53};
  const double truth = -kNbeta / kRows * GroupBif(model, group);
  int covered = 0;
  constexpr int kSeeds = 1000;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const Traces traces = Draw(model, 250, 100 + seed);
    const auto scorer =
        Scorer::Create(traces.layout, Estimator::kBif, Centring::kPooled, traces.query);
    const auto prediction = PredictRemoval(GroupScore(traces, group), Estimator::kBif, kNbeta,
                                           kRows, scorer->t_quantile());
    covered += prediction->low <= truth && truth <= prediction->high ? 1 : 0;
  }
  EXPECT_GE(static_cast<double>(covered) / kSeeds, 0.93);
  EXPECT_LE(static_cast<double>(covered) / kSeeds, 0.97);
}

}  // namespace
}  // namespace bif::attribution
