#include "tests/support/fake_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

using engine::LossKind;

class FakeEngineTest : public ::testing::Test {
 protected:
  std::unique_ptr<engine::Model> Load(const std::string& program,
                                      LossKind loss = LossKind::kSquaredError) {
    std::ofstream(dir_ / "program") << program;
    auto model = engine_.LoadModel(FakeProgram(dir_ / "program", loss), {});
    EXPECT_TRUE(model.ok()) << model.status();
    moving_ = *engine::SelectParameters((*model)->info().parameters, {});
    return *std::move(model);
  }
  std::vector<float> Observe(engine::Model& model, const engine::ResidentRows& rows,
                             const std::vector<float>& delta, engine::Observable observable = {}) {
    int64_t numbers = rows.rows();
    if (observable.kind == engine::ObservableKind::kTokenLosses) {
      numbers = 0;
      for (int64_t r = 0; r < rows.rows(); ++r) numbers += rows.token_losses(r);
    }
    std::vector<float> values(numbers);
    const absl::Span<const float> span(delta);
    EXPECT_TRUE(
        model.Observe(moving_, {span}, rows, 0, rows.rows(), observable, {}, absl::MakeSpan(values))
            .ok());
    return values;
  }
  static engine::SamplerSettings Settings() {
    engine::SamplerSettings settings;
    settings.step_size = 0.01;
    settings.nbeta = 3;
    settings.gamma = 2;
    settings.noise_scale = 0;
    settings.batch_size = 1;
    return settings;
  }

  TempDir dir_;
  FakeEngine engine_;
  engine::MovingSet moving_;
};

TEST_F(FakeEngineTest, SquaredLossesAreThoseOfTheFormula) {
  const auto model = Load(FakeProgramFile(2, 0, {1, 2}));
  const auto rows = *model->Upload(FakeRows({1, 1, 2, -1}, {0, 5}));
  EXPECT_EQ(Observe(*model, *rows, {}), (std::vector<float>{4.5f, 12.5f}));
  EXPECT_EQ(Observe(*model, *rows, {1, 0}), (std::vector<float>{8, 4.5f}));
  EXPECT_EQ(Observe(*model, *rows, {}, {engine::ObservableKind::kLogit, 0}),
            (std::vector<float>{3, 0}));
  EXPECT_EQ(engine_.hooks().observe_calls, 3);
  EXPECT_EQ(engine_.hooks().observed_rows, 6);
}

TEST_F(FakeEngineTest, CrossEntropyObservablesFitTogether) {
  const auto model = Load(FakeProgramFile(1, 3, {0, 1, 3}), LossKind::kCrossEntropy);
  const auto rows = *model->Upload(FakeLabelledRows({1}, {1}));
  const double sum = 1 + std::exp(1) + std::exp(3);
  EXPECT_NEAR(Observe(*model, *rows, {})[0], std::log(sum) - 1, 1e-6);
  EXPECT_NEAR(Observe(*model, *rows, {}, {engine::ObservableKind::kCorrectProbability})[0],
              std::exp(1) / sum, 1e-6);
  EXPECT_NEAR(Observe(*model, *rows, {}, {engine::ObservableKind::kMargin})[0], -2, 1e-6);
  EXPECT_NEAR(Observe(*model, *rows, {}, {engine::ObservableKind::kLogit, 2})[0], 3, 1e-6);
  EXPECT_FALSE(model->Upload(FakeLabelledRows({1}, {3})).ok());
}

// Two tokens, one feature: the logits of the token after t are w * cos(0.7 (t + 1)).
TEST_F(FakeEngineTest, TokensArePredictedFromTheOnesBefore) {
  const auto model = Load(FakeProgramFile(1, 2, {1, -2}), LossKind::kNextToken);
  const auto rows = *model->Upload(FakeSequences({{0, 1, 1}, {1, 0, 0}}));
  const auto loss = [](int before, int token) {
    const double feature = std::cos(0.7 * (before + 1));
    const double logits[] = {feature, -2 * feature};
    return std::log(std::exp(logits[0]) + std::exp(logits[1])) - logits[token];
  };
  const std::vector<double> expected = {loss(0, 1), loss(1, 1), loss(1, 0), loss(0, 0)};
  EXPECT_EQ(rows->token_losses(0), 2);
  const auto tokens = Observe(*model, *rows, {}, {engine::ObservableKind::kTokenLosses});
  ASSERT_EQ(tokens.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(tokens[i], expected[i], 1e-6);
  const auto losses = Observe(*model, *rows, {});
  EXPECT_NEAR(losses[0], (expected[0] + expected[1]) / 2, 1e-6);
  engine::Observable observable{engine::ObservableKind::kSpanLoss};
  observable.span_begin = 2;
  EXPECT_NEAR(Observe(*model, *rows, {}, observable)[1], expected[3], 1e-6);
  observable = {engine::ObservableKind::kTokenProbability};
  observable.position = 2;
  EXPECT_NEAR(Observe(*model, *rows, {}, observable)[0], std::exp(-expected[1]), 1e-6);
  observable = {engine::ObservableKind::kLogitDifference, 0, 1};
  observable.position = 1;
  EXPECT_NEAR(Observe(*model, *rows, {}, observable)[1], 3 * std::cos(1.4), 1e-6);
  EXPECT_FALSE(model->Upload(FakeSequences({{0, 2}})).ok()) << "out of the vocabulary";
}

TEST_F(FakeEngineTest, GradientsOfSequencesMatchDifferencesOfLosses) {
  const auto model = Load(FakeProgramFile(1, 3, {0.5f, 1, -1}), LossKind::kNextToken);
  const auto rows = *model->Upload(FakeSequences({{0, 2, 1, 1}}));
  engine::SamplerSettings settings = Settings();
  settings.nbeta = 1;
  auto chains = *model->StartChains(settings, moving_, {}, *rows, 0, 1, {});
  ASSERT_TRUE(chains->Advance(1).ok());
  std::vector<float> delta(3);
  ASSERT_TRUE(chains->ReadDelta(0, absl::MakeSpan(delta)).ok());
  for (int k = 0; k < 3; ++k) {
    std::vector<float> up(3, 0), down(3, 0);
    up[k] = 1e-2f;
    down[k] = -1e-2f;
    const double slope = (Observe(*model, *rows, up)[0] - Observe(*model, *rows, down)[0]) / 2e-2;
    EXPECT_NEAR(delta[k], -0.005 * slope, 1e-5) << k;
  }
}

TEST_F(FakeEngineTest, AStepWithoutNoiseIsGradientDescent) {
  const auto model = Load(FakeProgramFile(2, 0, {1, 2}));
  const auto rows = *model->Upload(FakeRows({1, 2}, {1}));  // residual 4, gradient (4, 8)
  auto chains = *model->StartChains(Settings(), moving_, {}, *rows, 0, 1, {});
  const auto reports = *chains->Advance(1);
  EXPECT_DOUBLE_EQ(reports[0].mean_loss, 8);
  std::vector<float> delta(2);
  ASSERT_TRUE(chains->ReadDelta(0, absl::MakeSpan(delta)).ok());
  EXPECT_NEAR(delta[0], -0.005 * 3 * 4, 1e-6);
  EXPECT_NEAR(delta[1], -0.005 * 3 * 8, 1e-6);
}

TEST_F(FakeEngineTest, CrossEntropyGradientsMatchDifferencesOfLosses) {
  const auto model = Load(FakeProgramFile(1, 3, {0.5f, 1, -1}), LossKind::kCrossEntropy);
  const auto rows = *model->Upload(FakeLabelledRows({2}, {2}));
  engine::SamplerSettings settings = Settings();
  settings.nbeta = 1;
  auto chains = *model->StartChains(settings, moving_, {}, *rows, 0, 1, {});
  ASSERT_TRUE(chains->Advance(1).ok());
  std::vector<float> delta(3);
  ASSERT_TRUE(chains->ReadDelta(0, absl::MakeSpan(delta)).ok());
  for (int k = 0; k < 3; ++k) {
    std::vector<float> up(3, 0), down(3, 0);
    up[k] = 1e-2f;
    down[k] = -1e-2f;
    const double slope = (Observe(*model, *rows, up)[0] - Observe(*model, *rows, down)[0]) / 2e-2;
    EXPECT_NEAR(delta[k], -0.005 * slope, 1e-5) << k;
  }
}

TEST_F(FakeEngineTest, ASnapshotGoesOnBitForBitAndFrozenElementsStand) {
  const auto model = Load(FakeProgramFile(4, 0, {1, 2, 3, 4}));
  moving_ = *engine::SelectParameters(model->info().parameters, {{"back"}, {}});
  ASSERT_EQ(moving_.elements, 2);
  const auto rows = *model->Upload(FakeRows({1, 2, 0, 1, -1, 1, 1, 2}, {1, 0}));
  engine::SamplerSettings settings = Settings();
  settings.noise_scale = 1;
  settings.algorithm = engine::Algorithm::kRmspropSgld;
  auto straight = *model->StartChains(settings, moving_, {}, *rows, 0, 2, {});
  ASSERT_TRUE(straight->Advance(5).ok());
  auto first = *model->StartChains(settings, moving_, {}, *rows, 0, 2, {});
  ASSERT_TRUE(first->Advance(2).ok());
  auto second = *model->StartChains(settings, moving_, {}, *rows, 0, 2,
                                    {*first->Snapshot(0), *first->Snapshot(1)});
  ASSERT_TRUE(second->Advance(3).ok());
  EXPECT_EQ(second->step(), 5u);
  for (size_t c = 0; c < 2; ++c) {
    EXPECT_EQ(second->Snapshot(c)->weights, straight->Snapshot(c)->weights);
    EXPECT_EQ(second->Snapshot(c)->second_moments, straight->Snapshot(c)->second_moments);
  }
  EXPECT_NE(straight->Snapshot(0)->weights, straight->Snapshot(1)->weights);
}

TEST_F(FakeEngineTest, HooksInjectFailuresAndDivergence) {
  const auto model = Load(FakeProgramFile(1, 0, {1}));
  const auto rows = *model->Upload(FakeRows({1}, {0}));
  engine_.hooks().loss_is_nan = [](uint32_t chain, uint64_t step) {
    return chain == 1 && step == 2;
  };
  engine_.hooks().on_advance = [](int64_t call) {
    return call == 2 ? absl::InternalError("injected") : absl::OkStatus();
  };
  auto chains = *model->StartChains(Settings(), moving_, {}, *rows, 0, 2, {});
  ASSERT_TRUE(chains->Advance(2).ok());
  EXPECT_EQ(chains->Advance(2).status(), absl::InternalError("injected"));
  const auto reports = *chains->Advance(2);
  EXPECT_FALSE(reports[0].diverged);
  EXPECT_TRUE(reports[1].diverged);
  const std::vector<float> still = chains->Snapshot(1)->weights;
  ASSERT_TRUE(chains->Advance(2).ok());
  EXPECT_EQ(chains->Snapshot(1)->weights, still);
}

TEST_F(FakeEngineTest, FilesThatAreNotTheirsAreRefused) {
  std::ofstream(dir_ / "junk") << "PK junk";
  EXPECT_TRUE(absl::IsInvalidArgument(engine_.InspectProgram(FakeProgram(dir_ / "junk")).status()));
  std::ofstream(dir_ / "program") << FakeProgramFile(2, 0, {1, 2});
  std::ofstream(dir_ / "weights") << FakeWeightsFile({1, 2, 3});
  EXPECT_TRUE(absl::IsInvalidArgument(
      engine_.InspectWeights(FakeProgram(dir_ / "program"), {{dir_ / "weights"}}).status()));
  EXPECT_TRUE(engine_.InspectWeights(FakeProgram(dir_ / "program"), {}).ok());
}

}  // namespace
}  // namespace bif::testing
