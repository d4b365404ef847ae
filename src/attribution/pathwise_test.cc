#include "src/attribution/pathwise.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "src/attribution/estimator.h"
#include "src/attribution/group.h"
#include "src/attribution/mixing.h"
#include "src/attribution/student_t.h"
#include "src/attribution/test_linear_model.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

SlopeBlocks Blocks(std::vector<int64_t> draws, double time) {
  auto blocks = MakeSlopeBlocks({std::move(draws)}, time);
  EXPECT_TRUE(blocks.ok()) << blocks.status();
  return *std::move(blocks);
}

ScoreValue ScoreOf(const SlopeBlocks& blocks, const std::vector<float>& slopes,
                   Estimator estimator = Estimator::kBif) {
  const auto scorer = PathwiseScorer::Create(blocks, estimator);
  EXPECT_TRUE(scorer.ok()) << scorer.status();
  ScoreValue value;
  scorer->Score(slopes, absl::MakeSpan(&value, 1));
  return value;
}

TEST(SlopeBlocks, CoverEveryDrawOnceAndStayInTheirStretch) {
  for (const auto& draws : std::vector<std::vector<int64_t>>{
           {20, 20, 20, 20}, {7, 31, 5}, {100}, {1, 1, 1}, std::vector<int64_t>(15, 3)}) {
    for (const double time : {1.0, 3.5, 1000.0}) {
      const SlopeBlocks blocks = Blocks(draws, time);
      std::vector<int64_t> stretch_of;
      for (size_t s = 0; s < draws.size(); ++s) stretch_of.insert(stretch_of.end(), draws[s], s);
      int64_t next = 0;
      for (const Block& block : blocks.plan.blocks) {
        EXPECT_EQ(block.begin, next);
        EXPECT_GE(block.size, 1);
        EXPECT_EQ(stretch_of[block.begin], stretch_of[block.begin + block.size - 1]);
        next = block.begin + block.size;
      }
      EXPECT_EQ(next, static_cast<int64_t>(stretch_of.size()));
      EXPECT_GE(blocks.blocks(), std::min<int64_t>(4, next));
      EXPECT_GE(blocks.variance_factor, 1);
    }
  }
}

TEST(SlopeBlocks, ManyStretchesAreBlocksAndFewAreCut) {
  const SlopeBlocks whole = Blocks(std::vector<int64_t>(12, 40), 3);
  EXPECT_TRUE(whole.whole_stretches);
  EXPECT_EQ(whole.degrees(), 11);
  EXPECT_EQ(whole.variance_factor, 1);
  const SlopeBlocks cut = Blocks(std::vector<int64_t>(4, 40), 3);
  EXPECT_FALSE(cut.whole_stretches);
  EXPECT_EQ(cut.blocks(), 20);
  EXPECT_GT(cut.variance_factor, 1);
  for (const Block& block : Blocks(std::vector<int64_t>(4, 40), 7).plan.blocks)
    EXPECT_GE(block.size, 14);  // twice the time
}

TEST(SlopeBlocks, RefuseWhatIsNoStretch) {
  EXPECT_EQ(MakeSlopeBlocks({}, 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeSlopeBlocks({{3, 0}}, 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Pathwise, WithEqualBlocksTheErrorIsThatOfTheMeanOfBlockMeans) {
  const SlopeBlocks blocks = Blocks(std::vector<int64_t>(12, 2), 1);
  TestRandom random(3);
  std::vector<float> slopes(24);
  for (float& v : slopes) v = static_cast<float>(5 + random.Normal());
  double mean = 0;
  for (const float v : slopes) mean += static_cast<double>(v) / 24;
  double squares = 0;
  for (int s = 0; s < 12; ++s) {
    const double of_block = 0.5 * (static_cast<double>(slopes[2 * s]) + slopes[2 * s + 1]);
    squares += (of_block - mean) * (of_block - mean);
  }
  const ScoreValue value = ScoreOf(blocks, slopes);
  EXPECT_NEAR(value.score, mean, 1e-6);
  EXPECT_NEAR(value.standard_error, std::sqrt(squares / 11 / 12), 1e-6);
  const ScoreValue covariance = ScoreOf(blocks, slopes, Estimator::kCovariance);
  EXPECT_EQ(covariance.score, -value.score);
  EXPECT_EQ(covariance.standard_error, value.standard_error);
}

TEST(Pathwise, LeavingUnequalBlocksOutBySumsEqualsRemovingTheirDraws) {
  SlopeBlocks blocks = Blocks({7, 31, 5}, 2);
  TestRandom random(4);
  std::vector<float> slopes(43);
  for (float& v : slopes) v = static_cast<float>(random.Normal());
  std::vector<double> without;
  for (const Block& block : blocks.plan.blocks) {
    double sum = 0;
    for (int64_t t = 0; t < 43; ++t) {
      if (t < block.begin || t >= block.begin + block.size) sum += slopes[t];
    }
    without.push_back(sum / static_cast<double>(43 - block.size));
  }
  double mean = 0;
  for (const double v : without) mean += v / static_cast<double>(without.size());
  double squares = 0;
  for (const double v : without) squares += (v - mean) * (v - mean);
  const auto count = static_cast<double>(without.size());
  EXPECT_NEAR(ScoreOf(blocks, slopes).standard_error,
              std::sqrt(blocks.variance_factor * squares * (count - 1) / count), 1e-6);
}

TEST(Pathwise, NoGradientAndNumbersThatAreNoneAreConstant) {
  const SlopeBlocks blocks = Blocks({4, 4, 4}, 1);
  EXPECT_TRUE(ScoreOf(blocks, std::vector<float>(12, 0)).constant);
  std::vector<float> slopes(12, 1);
  EXPECT_FALSE(ScoreOf(blocks, slopes).constant);
  slopes[5] = std::numeric_limits<float>::quiet_NaN();
  const ScoreValue value = ScoreOf(blocks, slopes);
  EXPECT_TRUE(value.constant);
  EXPECT_EQ(value.score, 0);
  EXPECT_TRUE(std::isinf(ScoreOf(Blocks({1}, 1), {3}).standard_error));
}

TEST(Pathwise, RefusesCorrelations) {
  for (const Estimator estimator : {Estimator::kNormalizedBif, Estimator::kCorrelation}) {
    EXPECT_EQ(PathwiseScorer::Create(Blocks({4, 4}, 1), estimator).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// Stationary AR(1) stretches with mean 1.
std::vector<float> Series(int stretches, int draws, double rho, TestRandom& random) {
  std::vector<float> values;
  for (int s = 0; s < stretches; ++s) {
    double x = random.Normal();
    for (int t = 0; t < draws; ++t) {
      values.push_back(static_cast<float>(1 + x));
      x = rho * x + std::sqrt(1 - rho * rho) * random.Normal();
    }
  }
  return values;
}

double CoverageOfSeries(int stretches, int draws, double rho, bool with_factor) {
  TestRandom random(6);
  SlopeBlocks blocks = Blocks(std::vector<int64_t>(stretches, draws), (1 + rho) / (1 - rho));
  if (!with_factor) blocks.variance_factor = 1;
  const auto scorer = PathwiseScorer::Create(blocks, Estimator::kBif);
  constexpr int kRepeats = 20000;
  int covered = 0;
  for (int i = 0; i < kRepeats; ++i) {
    ScoreValue value;
    scorer->Score(Series(stretches, draws, rho, random), absl::MakeSpan(&value, 1));
    covered += std::abs(value.score - 1) <= scorer->t_quantile() * value.standard_error ? 1 : 0;
  }
  return static_cast<double>(covered) / kRepeats;
}

TEST(Pathwise, IntervalsOfCorrelatedSlopesCoverTheTruthIn93To97Percent) {
  for (const double rho : {0.0, 0.5, 0.8}) {
    for (const auto& [stretches, draws] : {std::pair{4, 20}, {2, 80}, {16, 10}}) {
      const double coverage = CoverageOfSeries(stretches, draws, rho, true);
      EXPECT_GE(coverage, 0.93) << rho << " " << stretches << " x " << draws;
      EXPECT_LE(coverage, 0.97) << rho << " " << stretches << " x " << draws;
    }
  }
  // Neighbouring blocks are correlated; not to know that is to cover less.
  EXPECT_LT(CoverageOfSeries(2, 80, 0.8, false), CoverageOfSeries(2, 80, 0.8, true) - 0.01);
}

TEST(Pathwise, FindsTheAutocorrelationTimeOfSlopes) {
  TestRandom random(7);
  std::vector<float> rows;
  for (int row = 0; row < 20; ++row) {
    const std::vector<float> series = Series(4, 500, 0.8, random);
    rows.insert(rows.end(), series.begin(), series.end());
  }
  EXPECT_NEAR(SlopeAutocorrelationTime({{500, 500, 500, 500}}, rows), 9, 1.5);
  EXPECT_EQ(SlopeAutocorrelationTime({{3, 3}}, {1, 2, 3, 1, 2, 3}), 1);
}

TEST(Relaxation, IsTheRateOfFlatDirections) {
  // The published trials: eps 2e-4, gamma 200: 0.02 a step.
  const auto relaxation = RelaxationOf(2e-4, 200, 0);
  ASSERT_TRUE(relaxation.ok());
  EXPECT_NEAR(relaxation->time, 1 / -std::log(0.98), 1e-9);
  EXPECT_EQ(relaxation->burn_in_steps, 194);
  // A tangent in a flat direction under a constant gradient lacks what `bias` allows, and no more.
  double v = 0;
  for (int64_t t = 0; t < relaxation->burn_in_steps - 1; ++t) v += 0.02 * (1 - v);
  EXPECT_GT(1 - v, kTangentBias);
  v += 0.02 * (1 - v);
  EXPECT_LE(1 - v, kTangentBias);
  // A preconditioner slows it down; weight decay pulls as gamma does.
  EXPECT_NEAR(RelaxationOf(2e-4, 200, 0, 0.1)->time / relaxation->time, 10, 0.2);
  EXPECT_EQ(RelaxationOf(2e-4, 150, 50)->burn_in_steps, 194);
}

TEST(Relaxation, RefusesWhatNeverSettles) {
  for (const auto& [step, gamma, bias] :
       {std::tuple{1e-4, 0.0, 0.02}, {0.1, 100.0, 0.02}, {1e-4, 100.0, 0.0}, {1e-4, 100.0, 1.0}}) {
    EXPECT_EQ(RelaxationOf(step, gamma, 0, 1, bias).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// Against the closed form of the linear model, with its tangents simulated.
constexpr int kRows = 12;
constexpr int kParameters = 4;
constexpr double kStepSize = 1e-3;

struct Stretches {
  int count;
  int64_t draws;
};

std::vector<float> SlopesOf(const LinearModel& model, Stretches stretches, uint64_t seed) {
  const int64_t values = stretches.count * stretches.draws;
  const int64_t burn_in = RelaxationOf(kStepSize, model.gamma(), 0)->burn_in_steps;
  std::vector<float> slopes(kRows * values);
  for (int64_t t = 0; t < values;) {
    LinearChain chain(model, kStepSize, 1, 1000 * seed + t);
    chain.Advance(burn_in);
    for (int64_t end = t + stretches.draws; t < end; ++t) {
      chain.Advance(15);
      for (int i = 0; i < kRows; ++i)
        slopes[i * values + t] = static_cast<float>(chain.Slope(i, 0));
    }
  }
  return slopes;
}

TEST(GaussianPathwise, LongRunsFindTheExactInfluence) {
  const LinearModel model(kRows, 1, kParameters, 60, 20, 3);
  const std::vector<float> slopes = SlopesOf(model, {20, 1000}, 1);
  const auto scorer =
      PathwiseScorer::Create(Blocks(std::vector<int64_t>(20, 1000), 1), Estimator::kBif);
  std::vector<ScoreValue> scores(kRows);
  scorer->Score(slopes, absl::MakeSpan(scores));
  double error = 0;
  double scale = 0;
  for (int i = 0; i < kRows; ++i) {
    const double truth = model.Bif(i, kRows);
    error += (scores[i].score - truth) * (scores[i].score - truth);
    scale += truth * truth;
  }
  EXPECT_LT(std::sqrt(error / scale), 0.03);
}

TEST(GaussianPathwise, IntervalsOf95PercentCoverTheTruthIn93To97Percent) {
  const LinearModel model(kRows, 1, kParameters, 60, 20, 3);
  for (const Stretches stretches : {Stretches{4, 40}, Stretches{16, 10}}) {
    const StretchLayout layout{std::vector<int64_t>(stretches.count, stretches.draws)};
    int covered = 0;
    int group_covered = 0;
    constexpr int kSeeds = 500;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const std::vector<float> slopes = SlopesOf(model, stretches, 100 + seed);
      const auto scorer = PathwiseScorer::Create(
          *MakeSlopeBlocks(layout, SlopeAutocorrelationTime(layout, slopes)), Estimator::kBif);
      std::vector<ScoreValue> scores(kRows);
      scorer->Score(slopes, absl::MakeSpan(scores));
      const auto covers = [&](const ScoreValue& value, double truth) {
        return std::abs(value.score - truth) <= scorer->t_quantile() * value.standard_error;
      };
      GroupTrace group(layout.values());
      double group_truth = 0;
      for (int i = 0; i < kRows; ++i) {
        covered += covers(scores[i], model.Bif(i, kRows)) ? 1 : 0;
        group.Add(absl::MakeSpan(slopes).subspan(i * layout.values(), layout.values()));
        group_truth += model.Bif(i, kRows);
      }
      ScoreValue of_group;
      scorer->Score(group.Row(false), absl::MakeSpan(&of_group, 1));
      group_covered += covers(of_group, group_truth) ? 1 : 0;
    }
    const double coverage = static_cast<double>(covered) / (kSeeds * kRows);
    EXPECT_GE(coverage, 0.93) << stretches.count;
    EXPECT_LE(coverage, 0.97) << stretches.count;
    EXPECT_NEAR(static_cast<double>(group_covered) / kSeeds, 0.95, 0.03) << stretches.count;
  }
}

}  // namespace
}  // namespace bif::attribution
