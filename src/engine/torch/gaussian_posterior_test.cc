// SGLD samples the posterior of a linear model with its exact discretised covariance C
// (test_linear_model.h), and Cov(l_i, l_j) = r_i r_j (a_i^T C a_j) + (a_i^T C a_j)^2 / 2 with
// r = A mu - y.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "src/engine/torch/test_linear_model.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using testing::kA;
using testing::kAnchor;
using testing::kRows;
using testing::kY;
using testing::LinearPosterior;
using testing::Matrix;
using testing::ValueOrDie;
using testing::Vector;

TEST(GaussianPosterior, SamplesHaveTheExactDiscretisedCovariance) {
  SamplerSettings settings;
  settings.step_size = 0.05;
  settings.nbeta = 40;
  settings.gamma = 8;
  settings.batch_size = kRows;
  settings.chains = 32;
  settings.seed = 3;

  // The closed form. eps * H has eigenvalues of 0.9 to 3.2 (4 is the limit of stability): the
  // correction is far from small.
  const LinearPosterior posterior(settings);
  const Matrix& want = posterior.covariance;
  const Vector& mu = posterior.mu;

  // The samples: 32 chains in one batched call, and their losses through Observe.
  const auto model = testing::LoadTestModel("linear", "features", LossKind::kSquaredError);
  SampleBatch batch;
  batch.rows = kRows;
  std::vector<float> features, targets;
  for (int r = 0; r < kRows; ++r) {
    features.insert(features.end(), kA[r], kA[r] + 3);
    targets.push_back(static_cast<float>(kY[r]));
  }
  batch.columns = {testing::FloatColumn("features", {3}, features),
                   testing::FloatColumn("target", {1}, targets)};
  const auto rows = ValueOrDie(model->Upload(batch));
  const MovingSet moving = ValueOrDie(SelectParameters(model->info().parameters, {}));
  ExecutionPlan plan;
  plan.batched_chains = true;
  const auto group = ValueOrDie(model->StartChains(settings, moving, plan, *rows, 0, 32, {}));
  ValueOrDie(group->Advance(30));

  constexpr int kDraws = 2500;
  Vector sum{};
  Matrix products{};
  std::array<double, kRows> loss_sum{};
  double loss_products[kRows][kRows] = {};
  for (int t = 0; t < kDraws; ++t) {
    for (const ChainReport& report : ValueOrDie(group->Advance(1)))
      ASSERT_FALSE(report.diverged) << report.reason;
    std::vector<std::vector<float>> deltas(32, std::vector<float>(3));
    for (size_t c = 0; c < 32; ++c)
      ASSERT_TRUE(group->ReadDelta(c, absl::MakeSpan(deltas[c])).ok());
    const std::vector<absl::Span<const float>> spans(deltas.begin(), deltas.end());
    std::vector<float> losses(32 * kRows);
    ASSERT_TRUE(
        model->Observe(moving, spans, *rows, 0, kRows, {}, plan, absl::MakeSpan(losses)).ok());
    for (size_t c = 0; c < 32; ++c) {
      for (int i = 0; i < 3; ++i) {
        sum[i] += deltas[c][i];
        for (int j = 0; j < 3; ++j) products[i][j] += double{deltas[c][i]} * deltas[c][j];
      }
      const float* l = losses.data() + c * kRows;
      for (int i = 0; i < kRows; ++i) {
        loss_sum[i] += l[i];
        for (int j = 0; j < kRows; ++j) loss_products[i][j] += double{l[i]} * l[j];
      }
    }
  }

  const double n = 32.0 * kDraws;
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(sum[i] / n + kAnchor[i], mu[i], 0.02 * std::sqrt(want[i][i]));
    for (int j = 0; j < 3; ++j) {
      const double got = products[i][j] / n - sum[i] / n * sum[j] / n;
      EXPECT_NEAR(got, want[i][j], 0.03 * std::sqrt(want[i][i] * want[j][j])) << i << j;
    }
  }
  const auto quadratic = [&want](int i, int j) {
    double value = 0;
    for (int a = 0; a < 3; ++a)
      for (int c = 0; c < 3; ++c) value += kA[i][a] * want[a][c] * kA[j][c];
    return value;
  };
  const auto loss_covariance = [&](int i, int j) {
    const auto residual = [&](int r) {
      return kA[r][0] * mu[0] + kA[r][1] * mu[1] + kA[r][2] * mu[2] - kY[r];
    };
    return residual(i) * residual(j) * quadratic(i, j) + quadratic(i, j) * quadratic(i, j) / 2;
  };
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kRows; ++j) {
      const double got = loss_products[i][j] / n - loss_sum[i] / n * loss_sum[j] / n;
      const double scale = std::sqrt(loss_covariance(i, i) * loss_covariance(j, j));
      EXPECT_NEAR(got, loss_covariance(i, j), 0.05 * scale) << i << j;
    }
  }
}

}  // namespace
}  // namespace bif::engine
