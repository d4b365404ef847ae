// The estimators against a closed form (docs/attribution.md): for a linear model with squared loss
// the posterior is Gaussian, and covariances of losses are known exactly.
#include <array>
#include <cmath>

#include "gtest/gtest.h"
#include "src/attribution/convergence.h"
#include "src/attribution/estimator.h"
#include "src/attribution/test_series.h"

namespace bif::attribution {
namespace {

constexpr int kParameters = 3;
constexpr int kRows = 6;
using Vector = std::array<double, kParameters>;

// w ~ N(mu, S) with S = L L^T, l_i = (a_i . w - y_i)^2 / 2. r_i is the residual at mu.
struct LinearModel {
  std::array<Vector, kParameters> cholesky;  // L
  std::array<Vector, kRows> features;        // a_i
  std::array<double, kRows> residuals;       // r_i

  // a_i . S a_j
  double Overlap(int i, int j) const {
    double sum = 0;
    for (int k = 0; k < kParameters; ++k) {
      double left = 0;
      double right = 0;
      for (int p = 0; p < kParameters; ++p) {
        left += features[i][p] * cholesky[p][k];
        right += features[j][p] * cholesky[p][k];
      }
      sum += left * right;
    }
    return sum;
  }
  double LossCovariance(int i, int j) const {
    const double overlap = Overlap(i, j);
    return residuals[i] * residuals[j] * overlap + 0.5 * overlap * overlap;
  }
};

LinearModel MakeModel() {
  LinearModel model;
  model.cholesky = {Vector{0.9, 0, 0}, Vector{0.3, 0.7, 0}, Vector{-0.2, 0.4, 0.5}};
  TestRandom random(2);
  for (int i = 0; i < kRows; ++i) {
    for (double& a : model.features[i]) a = random.Normal();
    model.residuals[i] = random.Normal();
  }
  return model;
}

// Losses along chains of AR(1) draws whose stationary law is exactly N(mu, S): [row][chain][draw].
std::vector<float> SampleLosses(const LinearModel& model, int chains, int draws, double rho,
                                uint64_t seed) {
  TestRandom random(seed);
  std::vector<float> losses(static_cast<size_t>(kRows) * chains * draws);
  for (int c = 0; c < chains; ++c) {
    Vector z;
    for (double& v : z) v = random.Normal();
    for (int t = 0; t < draws; ++t) {
      Vector delta = {};
      for (int p = 0; p < kParameters; ++p) {
        for (int k = 0; k <= p; ++k) delta[p] += model.cholesky[p][k] * z[k];
      }
      for (int i = 0; i < kRows; ++i) {
        double residual = model.residuals[i];
        for (int p = 0; p < kParameters; ++p) residual += model.features[i][p] * delta[p];
        losses[(static_cast<size_t>(i) * chains + c) * draws + t] =
            static_cast<float>(0.5 * residual * residual);
      }
      for (double& v : z) v = rho * v + std::sqrt(1 - rho * rho) * random.Normal();
    }
  }
  return losses;
}

TEST(GaussianPosterior, LongChainsFindTheExactCovariances) {
  const LinearModel model = MakeModel();
  const TraceLayout layout = MakeLayout(4, 40000, 1);
  const std::vector<float> losses = SampleLosses(model, 4, 40000, 0, 1);
  const auto scorer = Scorer::Create(layout, Estimator::kCovariance, Centring::kPooled, losses);
  ASSERT_TRUE(scorer.ok());
  std::vector<ScoreValue> scores(kRows * kRows);
  scorer->Score(losses, absl::MakeSpan(scores));
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kRows; ++j) {
      const double scale = std::sqrt(model.LossCovariance(i, i) * model.LossCovariance(j, j));
      EXPECT_NEAR(scores[i * kRows + j].score, model.LossCovariance(i, j), 0.05 * scale);
    }
  }
}

class Coverage : public testing::TestWithParam<std::tuple<double, Centring>> {};

TEST_P(Coverage, IntervalsOf95PercentCoverTheTruthIn93To97Percent) {
  const auto& [rho, centring] = GetParam();
  const int draws = rho == 0 ? 4000 : 8000;  // long enough that blocks are nearly independent
  const LinearModel model = MakeModel();
  constexpr int kSeeds = 400;
  constexpr int kChains = 4;
  int covered = 0;
  int intervals = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const std::vector<float> losses = SampleLosses(model, kChains, draws, rho, 100 + seed);
    const absl::Span<const float> first = absl::MakeSpan(losses).first(kChains * draws);
    const TraceLayout layout =
        MakeLayout(kChains, draws, AutocorrelationTime(kChains, draws, first));
    const auto scorer = Scorer::Create(layout, Estimator::kBif, centring, losses);
    ASSERT_TRUE(scorer.ok());
    std::vector<ScoreValue> scores(kRows * kRows);
    scorer->Score(losses, absl::MakeSpan(scores));
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < i; ++j) {
        const ScoreValue& value = scores[i * kRows + j];
        const double truth = -model.LossCovariance(i, j);
        covered += std::abs(value.score - truth) <= scorer->t_quantile() * value.standard_error;
        ++intervals;
      }
    }
  }
  const double coverage = static_cast<double>(covered) / intervals;
  RecordProperty("coverage", std::to_string(coverage));
  EXPECT_GE(coverage, 0.93);
  EXPECT_LE(coverage, 0.97);
}

INSTANTIATE_TEST_SUITE_P(All, Coverage,
                         testing::Combine(testing::Values(0.0, 0.7),
                                          testing::Values(Centring::kPooled,
                                                          Centring::kWithinChain)));

}  // namespace
}  // namespace bif::attribution
