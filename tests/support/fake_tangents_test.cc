#include "tests/support/fake_tangents.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

using engine::LossKind;
using engine::Observable;
using engine::ObservableKind;
using Floats = std::vector<float>;

class FakeTangentsTest : public ::testing::Test {
 protected:
  void Load(const std::string& program, LossKind loss) {
    std::ofstream(dir_ / "program") << program;
    model_ = *engine_.LoadModel(FakeProgram(dir_ / "program", loss), {});
    moving_ = *engine::SelectParameters(model_->info().parameters, {});
    settings_.step_size = 0.1;
    settings_.nbeta = 0.04;
    settings_.gamma = 1;
    settings_.batch_size = 4;
    settings_.batch_order = engine::BatchOrder::kReplay;
    settings_.replay_batches = {{0, 1, 2, 3}, {1, 2, 3, 0}};
  }
  // Three classes, three features; steep training rows 0 to 3, and a flat one, 4: the query.
  void LoadSoftmax() {
    Load(FakeProgramFile(3, 3, {0.5f, -1, 1, 0.2f, 0.7f, -0.3f, -0.6f, 0.1f, 0.4f}),
         LossKind::kCrossEntropy);
    train_ = *model_->Upload(
        FakeLabelledRows({9, -3, 2, -8, 5, 4, 1, 7, -6, 3, 3, 9, 0.5f, -0.8f, 1}, {0, 1, 2, 1, 2}));
    query_ = *model_->Upload(FakeLabelledRows({0.5f, -0.8f, 1}, {2}));
  }
  std::unique_ptr<engine::ChainGroup> Chains(
      const std::vector<engine::ChainSnapshot>& snapshots = {}) {
    return *model_->StartChains(settings_, moving_, {}, *train_, 0, 1, snapshots);
  }
  std::unique_ptr<engine::TangentStretch> Tangents(const engine::ChainSnapshot& from,
                                                   const Observable& observable = {},
                                                   const Floats& tangents = {}) {
    return *model_->StartTangents(settings_, moving_, {}, {}, *train_, from, *query_, observable,
                                  tangents);
  }
  Floats Delta(engine::ChainGroup& chains) const {
    Floats delta(moving_.elements);
    EXPECT_TRUE(chains.ReadDelta(0, absl::MakeSpan(delta)).ok());
    return delta;
  }
  Floats TangentOf(engine::TangentStretch& stretch) const {
    Floats tangent(moving_.elements * stretch.queries());
    EXPECT_TRUE(stretch.ReadTangents(absl::MakeSpan(tangent)).ok());
    return tangent;
  }
  Floats Observe(const engine::ResidentRows& rows, const Floats& delta,
                 const Observable& observable = {}) {
    Floats values(rows.rows());
    EXPECT_TRUE(model_
                    ->Observe(moving_, {absl::Span<const float>(delta)}, rows, 0, rows.rows(),
                              observable, {}, absl::MakeSpan(values))
                    .ok());
    return values;
  }

  TempDir dir_;
  FakeEngine engine_;
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<engine::ResidentRows> train_;
  std::unique_ptr<engine::ResidentRows> query_;
  engine::MovingSet moving_;
  engine::SamplerSettings settings_;
};

// A fifth row in every batch, with nbeta raised in proportion, is the query's loss with the weight
// nbeta / 4.
TEST_F(FakeTangentsTest, ATangentIsTheDifferenceOfPerturbedChainsAndASlopeThatOfLosses) {
  LoadSoftmax();
  auto stretch = Tangents(*Chains()->Snapshot(0));
  auto plain = Chains();
  ASSERT_TRUE(stretch->Advance(30).ok());
  ASSERT_TRUE(plain->Advance(30).ok());
  const double weight = settings_.nbeta / 4;
  settings_.nbeta *= 1.25;
  settings_.batch_size = 5;
  settings_.replay_batches = {{0, 1, 2, 3, 4}};
  auto perturbed = Chains();
  ASSERT_TRUE(perturbed->Advance(30).ok());

  const Floats before = Delta(*plain), after = Delta(*perturbed), tangent = TangentOf(*stretch);
  double size = 0, off = 0;
  for (size_t i = 0; i < tangent.size(); ++i) {
    const double difference = (double{after[i]} - before[i]) / weight;
    size += tangent[i] * tangent[i];
    off += (difference - tangent[i]) * (difference - tangent[i]);
  }
  EXPECT_GT(std::sqrt(size), 0.05);
  EXPECT_LT(std::sqrt(off), 0.01 * std::sqrt(size));

  Floats slopes(5);
  ASSERT_TRUE(stretch->Slopes(*train_, 0, 5, absl::MakeSpan(slopes)).ok());
  Floats ahead = before, behind = before;
  for (size_t i = 0; i < tangent.size(); ++i) {
    ahead[i] += 1e-3f * tangent[i];
    behind[i] -= 1e-3f * tangent[i];
  }
  const Floats up = Observe(*train_, ahead), down = Observe(*train_, behind);
  for (size_t r = 0; r < slopes.size(); ++r)
    EXPECT_NEAR(slopes[r], (up[r] - down[r]) / 2e-3, 2e-3 + 0.01 * std::abs(slopes[r])) << r;
  Floats one(1);
  ASSERT_TRUE(stretch->Slopes(*train_, 3, 1, absl::MakeSpan(one)).ok());
  EXPECT_EQ(one[0], slopes[3]);
}

TEST_F(FakeTangentsTest, AReplayFollowsTheChainBitForBitAndGoesOnFromGivenTangents) {
  LoadSoftmax();
  auto chain = Chains();
  ASSERT_TRUE(chain->Advance(7).ok());
  const engine::ChainSnapshot from = *chain->Snapshot(0);
  auto stretch = Tangents(from);
  ASSERT_TRUE(stretch->Advance(4).ok());
  ASSERT_TRUE(chain->Advance(4).ok());
  Floats delta(moving_.elements);
  ASSERT_TRUE(stretch->ReadDelta(absl::MakeSpan(delta)).ok());
  EXPECT_EQ(delta, Delta(*chain));
  EXPECT_EQ(stretch->step(), 11u);

  auto rest = Tangents(*chain->Snapshot(0), {}, TangentOf(*stretch));
  ASSERT_TRUE(rest->Advance(3).ok());
  ASSERT_TRUE(stretch->Advance(3).ok());
  const Floats whole = TangentOf(*stretch), resumed = TangentOf(*rest);
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(resumed[i], whole[i], 1e-6);
}

// After the first step from zero, v = -eps/2 G grad phi.
TEST_F(FakeTangentsTest, EveryObservableHasTheGradientOfItsDifferences) {
  LoadSoftmax();
  std::vector<Observable> observables(5);
  observables[1].kind = ObservableKind::kCorrectProbability;
  observables[2].kind = ObservableKind::kMargin;
  observables[3].kind = ObservableKind::kLogit;
  observables[3].logit_index = 1;
  observables[4].kind = ObservableKind::kLogitDifference;
  observables[4].logit_index = 2;
  for (const Observable& observable : observables) {
    auto stretch = Tangents(*Chains()->Snapshot(0), observable);
    ASSERT_TRUE(stretch->Advance(1).ok());
    const Floats tangent = TangentOf(*stretch);
    for (size_t i = 0; i < tangent.size(); ++i) {
      Floats up(tangent.size(), 0), down(tangent.size(), 0);
      up[i] = 1e-2f;
      down[i] = -1e-2f;
      const double slope =
          (Observe(*query_, up, observable)[0] - Observe(*query_, down, observable)[0]) / 2e-2;
      EXPECT_NEAR(tangent[i], -0.05 * slope, 1e-5) << static_cast<int>(observable.kind) << i;
    }
  }
}

TEST_F(FakeTangentsTest, ThePreconditionerAndTheBoxAreThoseOfTheStep) {
  LoadSoftmax();
  auto plain = Tangents(*Chains()->Snapshot(0));
  ASSERT_TRUE(plain->Advance(1).ok());
  settings_.algorithm = engine::Algorithm::kRmspropSgld;
  auto chain = Chains();
  auto scaled = Tangents(*chain->Snapshot(0));
  ASSERT_TRUE(scaled->Advance(1).ok());
  ASSERT_TRUE(chain->Advance(1).ok());
  const Floats moments = chain->Snapshot(0)->second_moments;
  const Floats expected = TangentOf(*plain), found = TangentOf(*scaled);
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i] / (std::sqrt(moments[i]) + 0.1), 1e-5);
  settings_.box = 1e-6;
  auto boxed = Tangents(*chain->Snapshot(0));
  ASSERT_TRUE(boxed->Advance(1).ok());
  EXPECT_EQ(TangentOf(*boxed), Floats(moments.size(), 0));
}

TEST_F(FakeTangentsTest, HooksMakeOneTangentDiverge) {
  Load(FakeProgramFile(1, 0, {1}), LossKind::kSquaredError);
  train_ = *model_->Upload(FakeRows({1, 2, 3, 4}, {0, 1, 2, 3}));
  query_ = *model_->Upload(FakeRows({1, 2}, {5, 6}));
  engine_.hooks().tangent_diverges = [](uint32_t, uint64_t step, double target) {
    return step == 3 && target == 6;
  };
  auto stretch = Tangents(*Chains()->Snapshot(0));
  EXPECT_FALSE(stretch->Advance(3)->diverged);
  const auto report = *stretch->Advance(1);
  EXPECT_TRUE(report.diverged);
  EXPECT_EQ(report.query, 1);
  EXPECT_EQ(report.norms.size(), 2u);
  Floats slopes(8);
  EXPECT_FALSE(stretch->Slopes(*train_, 0, 4, absl::MakeSpan(slopes)).ok());
  EXPECT_EQ(engine_.hooks().tangent_steps, 8);
}

}  // namespace
}  // namespace bif::testing
