// Steps of real programs: gradients, filters, ways of stepping, interruptions and divergence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "src/base/status.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using testing::LoadTestModel;
using testing::RandomImages;
using testing::ValueOrDie;

SamplerSettings Settings(Algorithm algorithm) {
  SamplerSettings settings;
  settings.algorithm = algorithm;
  settings.step_size = algorithm == Algorithm::kSgld ? 1e-3 : 1e-4;
  settings.nbeta = 30;
  settings.gamma = 100;
  settings.batch_size = 8;
  settings.chains = 3;
  settings.seed = 77;
  return settings;
}

ExecutionPlan Plan(bool batched) {
  ExecutionPlan plan;
  plan.batched_chains = batched;
  plan.trace_batch_rows = 16;
  return plan;
}

class Chains : public ::testing::Test {
 protected:
  std::unique_ptr<ChainGroup> Start(const SamplerSettings& settings, bool batched,
                                    const std::vector<ChainSnapshot>& snapshots = {},
                                    uint32_t first = 0, uint32_t count = 3) {
    return ValueOrDie(
        model_->StartChains(settings, moving_, Plan(batched), *train_, first, count, snapshots));
  }
  std::vector<float> Delta(ChainGroup& group, size_t position) {
    std::vector<float> delta(static_cast<size_t>(moving_.elements));
    EXPECT_TRUE(group.ReadDelta(position, absl::MakeSpan(delta)).ok());
    return delta;
  }

  const std::unique_ptr<Model> model_ =
      LoadTestModel("small_mlp", "image", LossKind::kCrossEntropy, {0.01f}, {-0.5f});
  const std::unique_ptr<ResidentRows> train_ =
      ValueOrDie(model_->Upload(RandomImages(40, {1, 4, 4}, 3)));
  MovingSet moving_ = ValueOrDie(SelectParameters(model_->info().parameters, {}));
};

// With eps 2, nbeta 1 and neither noise nor pull, a step is minus the gradient.
TEST_F(Chains, GradientsOfTheBatchLossEqualPyTorch) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::ProgramPath("golden.json")));
  SampleBatch batch;
  batch.rows = 8;
  batch.columns = {
      testing::ByteColumn("image", {1, 4, 4}, golden["pixels"].get<std::vector<uint8_t>>()),
      testing::LabelColumn(golden["labels"].get<std::vector<int64_t>>())};
  const auto rows = ValueOrDie(model_->Upload(batch));
  SamplerSettings settings = Settings(Algorithm::kSgld);
  settings.step_size = 2;
  settings.nbeta = 1;
  settings.gamma = 0;
  settings.noise_scale = 0;
  settings.batch_order = BatchOrder::kReplay;
  settings.replay_batches = {{3, 1, 0, 2}};
  const std::vector<float> gradient = golden["gradient"].get<std::vector<float>>();
  for (bool batched : {false, true}) {
    const auto group =
        ValueOrDie(model_->StartChains(settings, moving_, Plan(batched), *rows, 0, 2, {}));
    const std::vector<ChainReport> reports = ValueOrDie(group->Advance(1));
    const std::vector<float> losses = golden["losses"].get<std::vector<float>>();
    EXPECT_NEAR(reports[1].mean_loss, (losses[0] + losses[1] + losses[2] + losses[3]) / 4, 1e-6);
    for (size_t chain : {0u, 1u}) {
      const std::vector<float> delta = Delta(*group, chain);
      ASSERT_EQ(delta.size(), gradient.size());
      for (size_t i = 0; i < delta.size(); ++i) EXPECT_NEAR(-delta[i], gradient[i], 2e-7) << i;
    }
  }
}

TEST_F(Chains, BatchedCallsEqualOneByOne) {
  for (Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    const auto loop = Start(Settings(algorithm), false), batched = Start(Settings(algorithm), true);
    const auto reports = ValueOrDie(loop->Advance(20)),
               batched_reports = ValueOrDie(batched->Advance(20));
    for (size_t chain = 0; chain < 3; ++chain) {
      EXPECT_NEAR(reports[chain].mean_loss, batched_reports[chain].mean_loss, 1e-5);
      const std::vector<float> a = Delta(*loop, chain), b = Delta(*batched, chain);
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
    }
  }
}

TEST_F(Chains, EveryChainHasItsOwnNoiseAndOneByOneNeedsNoOthers) {
  const auto all = Start(Settings(Algorithm::kSgld), false);
  const auto last = Start(Settings(Algorithm::kSgld), false, {}, 2, 1);
  ValueOrDie(all->Advance(5));
  ValueOrDie(last->Advance(5));
  EXPECT_NE(Delta(*all, 0), Delta(*all, 1));
  EXPECT_EQ(Delta(*all, 2), Delta(*last, 0));
}

TEST_F(Chains, AnInterruptionAtAnyStepChangesNoBit) {
  constexpr uint64_t kSteps = 13;  // more than two epochs of five batches
  for (Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    for (bool batched : {false, true}) {
      const auto whole = Start(Settings(algorithm), batched);
      ValueOrDie(whole->Advance(kSteps));
      std::vector<ChainSnapshot> snapshots;
      for (uint64_t step = 0; step < kSteps; ++step) {  // a new group for every step
        const auto part = Start(Settings(algorithm), batched, snapshots);
        EXPECT_EQ(part->step(), step);
        ValueOrDie(part->Advance(1));
        snapshots.clear();
        for (size_t chain = 0; chain < 3; ++chain)
          snapshots.push_back(ValueOrDie(part->Snapshot(chain)));
      }
      for (size_t chain = 0; chain < 3; ++chain) {
        const ChainSnapshot want = ValueOrDie(whole->Snapshot(chain));
        EXPECT_EQ(snapshots[chain].step, kSteps);
        EXPECT_EQ(snapshots[chain].weights, want.weights);
        EXPECT_EQ(snapshots[chain].second_moments, want.second_moments);
        EXPECT_EQ(want.second_moments.empty(), algorithm == Algorithm::kSgld);
      }
    }
  }
}

TEST_F(Chains, OnlyWhatTheFilterSelectsMovesAndItsNoiseStaysItsOwn) {
  SamplerSettings settings = Settings(Algorithm::kSgld);
  settings.nbeta = 1e-9;  // noise alone, so that both runs can be compared
  const auto all = Start(settings, false);
  ValueOrDie(all->Advance(1));
  const std::vector<float> everything = Delta(*all, 1);
  const MovingSet full = moving_;
  for (bool batched : {false, true}) {
    moving_ = ValueOrDie(SelectParameters(model_->info().parameters, {{"head.*"}, {"*.bias"}}));
    ASSERT_EQ(moving_.ranges.size(), 1u);
    const auto some = Start(settings, batched);
    ValueOrDie(some->Advance(1));
    const std::vector<float> delta = Delta(*some, 1);
    ASSERT_EQ(delta.size(), 18u);
    const MovingRange& range = full.ranges[static_cast<size_t>(moving_.ranges[0].parameter)];
    for (size_t i = 0; i < delta.size(); ++i)
      EXPECT_NEAR(delta[i], everything[static_cast<size_t>(range.begin) + i], 1e-7);
  }
}

TEST_F(Chains, AStepSizeThatDivergesIsReportedAndTheChainsStandStill) {
  SamplerSettings settings = Settings(Algorithm::kSgld);
  settings.step_size = 1;  // eps * gamma / 2 = 50: every step multiplies the distance
  for (bool batched : {false, true}) {
    const auto group = Start(settings, batched);
    const auto reports = ValueOrDie(group->Advance(200));
    for (const ChainReport& report : reports) {
      EXPECT_TRUE(report.diverged);
      EXPECT_THAT(report.reason, ::testing::HasSubstr("step"));
    }
    const ChainSnapshot before = ValueOrDie(group->Snapshot(0));
    EXPECT_LT(before.step, 200u);
    EXPECT_TRUE(ValueOrDie(group->Advance(3))[0].diverged);
    EXPECT_EQ(ValueOrDie(group->Snapshot(0)).step, before.step);
  }
}

// Chain 1 starts far outside of the basin; the others must not notice.
TEST_F(Chains, OnlyTheDivergedChainIsQuarantined) {
  const SamplerSettings settings = Settings(Algorithm::kSgld);
  for (bool batched : {false, true}) {
    const auto healthy = Start(settings, batched);
    std::vector<ChainSnapshot> snapshots;
    for (size_t chain = 0; chain < 3; ++chain)
      snapshots.push_back(ValueOrDie(healthy->Snapshot(chain)));
    ValueOrDie(healthy->Advance(10));

    for (float far : {1e3f, 1e30f, std::numeric_limits<float>::quiet_NaN()}) {
      snapshots[1].weights.assign(snapshots[1].weights.size(), far);
      snapshots[1].weights[0] = -far;
      snapshots[1].weights.back() = -far;
      const auto group = Start(settings, batched, snapshots);
      const auto reports = ValueOrDie(group->Advance(10));
      EXPECT_FALSE(reports[0].diverged);
      EXPECT_TRUE(reports[1].diverged) << far;
      EXPECT_FALSE(reports[1].reason.empty());
      EXPECT_FALSE(reports[2].diverged);
      EXPECT_EQ(group->step(), 10u);
      EXPECT_EQ(Delta(*group, 0), Delta(*healthy, 0));
      EXPECT_EQ(Delta(*group, 2), Delta(*healthy, 2));
    }
  }
}

TEST_F(Chains, WhatDoesNotFitIsRefused) {
  const auto refused = [this](const SamplerSettings& settings, const MovingSet& moving,
                              const std::vector<ChainSnapshot>& snapshots) {
    return model_->StartChains(settings, moving, Plan(false), *train_, 0, 1, snapshots).status();
  };
  SamplerSettings settings = Settings(Algorithm::kSgld);
  settings.nbeta = 0;
  EXPECT_EQ(FieldPath(refused(settings, moving_, {})), "settings.nbeta");
  settings = Settings(Algorithm::kSgld);
  settings.batch_size = 41;
  EXPECT_EQ(FieldPath(refused(settings, moving_, {})), "settings.batch_size");
  settings = Settings(Algorithm::kSgld);
  MovingSet other = moving_;
  other.ranges[0].elements += 1;
  EXPECT_EQ(refused(settings, other, {}).code(), absl::StatusCode::kInvalidArgument);
  ChainSnapshot snapshot;
  snapshot.weights.resize(3);
  EXPECT_EQ(refused(settings, moving_, {snapshot}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Chains, TuningGivesAPlanThatRuns) {
  const ExecutionPlan plan = ValueOrDie(model_->Tune(Settings(Algorithm::kSgld), moving_, *train_));
  EXPECT_GE(plan.trace_batch_rows, 64);
  const auto group =
      ValueOrDie(model_->StartChains(Settings(Algorithm::kSgld), moving_, plan, *train_, 0, 3, {}));
  EXPECT_EQ(ValueOrDie(group->Advance(2)).size(), 3u);
}

// Convolutions, strided slices, padding and batch norm; patches, layer norm and attention.
TEST(Architectures, ResidualNetworksAndVisionTransformersSample) {
  for (const char* name : {"small_resnet", "vit"}) {
    const auto model = LoadTestModel(name, "image", LossKind::kCrossEntropy, {0.01f, 0.02f, 0.01f},
                                     {-1.0f, -2.0f, -1.5f});
    const auto train = ValueOrDie(model->Upload(RandomImages(24, {3, 16, 16}, 5)));
    const MovingSet moving = ValueOrDie(SelectParameters(model->info().parameters, {}));
    SamplerSettings settings = Settings(Algorithm::kRmspropSgld);
    std::vector<std::vector<float>> deltas;
    for (bool batched : {false, true}) {
      const auto group =
          ValueOrDie(model->StartChains(settings, moving, Plan(batched), *train, 0, 2, {}));
      for (const ChainReport& report : ValueOrDie(group->Advance(3))) {
        EXPECT_FALSE(report.diverged) << name << ": " << report.reason;
        EXPECT_TRUE(std::isfinite(report.mean_loss));
      }
      deltas.emplace_back(static_cast<size_t>(moving.elements));
      ASSERT_TRUE(group->ReadDelta(1, absl::MakeSpan(deltas.back())).ok());
    }
    for (size_t i = 0; i < deltas[0].size(); ++i)
      EXPECT_NEAR(deltas[0][i], deltas[1][i], 1e-5) << name;

    // A small query at several draws, and the same rows alone.
    const std::vector<absl::Span<const float>> draws = {deltas[0], absl::Span<const float>()};
    std::vector<float> together(2 * 3), alone(24);
    ASSERT_TRUE(
        model->Observe(moving, draws, *train, 0, 3, {}, Plan(false), absl::MakeSpan(together))
            .ok());
    ASSERT_TRUE(
        model->Observe(moving, {draws[0]}, *train, 0, 24, {}, Plan(false), absl::MakeSpan(alone))
            .ok());
    for (size_t r = 0; r < 3; ++r) EXPECT_NEAR(together[r], alone[r], 1e-5) << name;
    EXPECT_NE(together[0], together[3]);
  }
}

}  // namespace
}  // namespace bif::engine
