// Upload and Observe against PyTorch's numbers (golden.json of make_sampling_programs.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "src/base/status.h"
#include "src/engine/gaussian_noise.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using testing::ByteColumn;
using testing::FloatColumn;
using testing::LabelColumn;
using testing::LoadTestModel;
using testing::ValueOrDie;

nlohmann::json Golden() {
  return nlohmann::json::parse(std::ifstream(testing::ProgramPath("golden.json")));
}

SampleBatch GoldenBatch(const nlohmann::json& golden) {
  SampleBatch batch;
  batch.rows = 8;
  batch.columns = {LabelColumn(golden["labels"].get<std::vector<int64_t>>()),
                   ByteColumn("image", {1, 4, 4}, golden["pixels"].get<std::vector<uint8_t>>())};
  return batch;
}

class SmallMlp : public ::testing::Test {
 protected:
  std::vector<float> Observed(const Observable& observable,
                              const std::vector<std::vector<float>>& deltas, int64_t first,
                              int64_t count, int64_t batch_rows = 256) {
    std::vector<absl::Span<const float>> spans(deltas.begin(), deltas.end());
    std::vector<float> values(deltas.size() * static_cast<size_t>(count), -1.0f);
    ExecutionPlan plan;
    plan.trace_batch_rows = batch_rows;
    const absl::Status status = model_->Observe(moving_, spans, *rows_, first, count, observable,
                                                plan, absl::MakeSpan(values));
    EXPECT_TRUE(status.ok()) << status;
    return values;
  }
  absl::Status ObserveStatus(const Observable& observable) {
    std::vector<float> values(1);
    const absl::Span<const float> at_anchor;
    return model_->Observe(moving_, {at_anchor}, *rows_, 0, 1, observable, {},
                           absl::MakeSpan(values));
  }

  const nlohmann::json golden_ = Golden();
  const std::unique_ptr<Model> model_ =
      LoadTestModel("small_mlp", "image", LossKind::kCrossEntropy, {0.01f}, {-0.5f});
  const MovingSet moving_ = ValueOrDie(SelectParameters(model_->info().parameters, {}));
  const std::unique_ptr<ResidentRows> rows_ = ValueOrDie(model_->Upload(GoldenBatch(golden_)));
};

void ExpectNear(const std::vector<float>& got, const std::vector<float>& want, float tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

TEST_F(SmallMlp, ObservablesEqualPyTorch) {
  const auto want = [this](const char* name) { return golden_[name].get<std::vector<float>>(); };
  const std::vector<std::vector<float>> anchor(1);
  ExpectNear(Observed({ObservableKind::kLoss}, anchor, 0, 8), want("losses"), 1e-6f);
  ExpectNear(Observed({ObservableKind::kCorrectProbability}, anchor, 0, 8), want("probabilities"),
             1e-6f);
  ExpectNear(Observed({ObservableKind::kMargin}, anchor, 0, 8), want("margins"), 1e-6f);
  ExpectNear(Observed({ObservableKind::kLogit, 2}, anchor, 0, 8), want("logits_2"), 1e-6f);
  ExpectNear(Observed({ObservableKind::kLogitDifference, 2, 0}, anchor, 0, 8),
             want("logits_2_minus_0"), 1e-6f);
}

TEST_F(SmallMlp, RowsMayBeCutIntoAnyBatches) {
  const std::vector<std::vector<float>> anchor(1);
  const std::vector<float> all = Observed({}, anchor, 0, 8);
  for (int64_t batch_rows : {1, 3, 8})
    ExpectNear(Observed({}, anchor, 0, 8, batch_rows), all, 1e-6f);
  ExpectNear(Observed({}, anchor, 3, 4, 3), std::vector<float>(all.begin() + 3, all.begin() + 7),
             1e-6f);
}

TEST_F(SmallMlp, SeveralDrawsInOneCallEqualOneByOne) {
  std::vector<std::vector<float>> deltas(5);
  for (size_t d = 1; d < deltas.size(); ++d) {
    deltas[d].resize(static_cast<size_t>(moving_.elements));
    FillGaussianNoise(RandomBlocks(d, 0, 0, RandomStream::kNoise), 0, absl::MakeSpan(deltas[d]));
    for (float& x : deltas[d]) x *= 0.1f;
  }
  for (ObservableKind kind : {ObservableKind::kLoss, ObservableKind::kCorrectProbability,
                              ObservableKind::kMargin, ObservableKind::kLogit}) {
    const std::vector<float> together = Observed({kind}, deltas, 1, 5);
    for (size_t d = 0; d < deltas.size(); ++d) {
      const auto part = together.begin() + static_cast<ptrdiff_t>(5 * d);
      ExpectNear(Observed({kind}, {deltas[d]}, 1, 5), std::vector<float>(part, part + 5), 1e-5f);
    }
    EXPECT_NE(together[0], together[5]);
  }
}

TEST_F(SmallMlp, ADeltaOfSomeParametersLeavesTheOthersAtTheCheckpoint) {
  const MovingSet head =
      ValueOrDie(SelectParameters(model_->info().parameters, {{"head.bias"}, {}}));
  ASSERT_EQ(head.elements, 3);
  const std::vector<float> delta = {0, 0, 0.75f};
  std::vector<float> values(8);
  ASSERT_TRUE(model_
                  ->Observe(head, {absl::MakeConstSpan(delta)}, *rows_, 0, 8,
                            {ObservableKind::kLogit, 2}, {}, absl::MakeSpan(values))
                  .ok());
  std::vector<float> want = golden_["logits_2"].get<std::vector<float>>();
  for (float& logit : want) logit += 0.75f;
  ExpectNear(values, want, 1e-6f);
}

TEST_F(SmallMlp, ALabelOutOfRangeIsRefusedWithItsRow) {
  for (int64_t label : {-1, 3}) {
    SampleBatch batch = GoldenBatch(golden_);
    batch.columns[0] = LabelColumn({0, 1, 2, 0, 1, label, 2, 0});
    const absl::Status status = model_->Upload(batch).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("row 5"));
  }
}

TEST_F(SmallMlp, SamplesThatDoNotFitAreRefused) {
  const auto refused = [this](size_t column, Column instead, const std::string& says) {
    SampleBatch batch = GoldenBatch(golden_);
    batch.columns[column] = std::move(instead);
    const absl::Status status = model_->Upload(batch).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(says));
  };
  refused(1, ByteColumn("picture", {1, 4, 4}, std::vector<uint8_t>(128)), "no column 'image'");
  refused(1, ByteColumn("image", {1, 4, 5}, std::vector<uint8_t>(160)), "[1,4,5]");
  refused(1, ByteColumn("image", {1, 4, 4}, std::vector<uint8_t>(127)), "bytes");
  refused(0, FloatColumn("label", {}, std::vector<float>(8)), "whole numbers");
  std::vector<float> pixels(128, 0.5f);
  pixels[70] = std::numeric_limits<float>::quiet_NaN();
  refused(1, FloatColumn("image", {1, 4, 4}, pixels), "row 4");
  SampleBatch none;
  EXPECT_EQ(model_->Upload(none).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SmallMlp, ImpossibleRequestsAreRefused) {
  EXPECT_EQ(FieldPath(ObserveStatus({ObservableKind::kLogit, 3})), "observable.logit_index");
  EXPECT_EQ(FieldPath(ObserveStatus({ObservableKind{77}})), "observable.kind");
  EXPECT_EQ(FieldPath(ObserveStatus({ObservableKind::kLogitDifference, 3, 0})),
            "observable.logit_index");
  for (const uint32_t other : {3u, 1u}) {
    EXPECT_EQ(FieldPath(ObserveStatus({ObservableKind::kLogitDifference, 1, other})),
              "observable.other_logit_index");
  }
  for (const ObservableKind of_sequences :
       {ObservableKind::kSpanLoss, ObservableKind::kTokenProbability, ObservableKind::kTokenLosses})
    EXPECT_EQ(FieldPath(ObserveStatus({of_sequences})), "observable.kind");
  std::vector<float> values(2);
  const std::vector<float> short_delta(5);
  const absl::Span<const float> anchor;
  EXPECT_EQ(model_->Observe(moving_, {anchor}, *rows_, 7, 2, {}, {}, absl::MakeSpan(values)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(model_->Observe(moving_, {anchor}, *rows_, 0, 1, {}, {}, absl::MakeSpan(values)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(model_
                ->Observe(moving_, {absl::MakeConstSpan(short_delta)}, *rows_, 0, 2, {}, {},
                          absl::MakeSpan(values))
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SmallMlp, MixedPrecisionIsCoarserOrThePlanSaysWhyNot) {
  SamplerSettings settings;
  settings.step_size = 1e-3;
  settings.nbeta = 1;
  settings.batch_size = 4;
  settings.compute = ComputeType::kBf16;
  const ExecutionPlan plan = ValueOrDie(model_->Tune(settings, moving_, *rows_));
  EXPECT_EQ(plan.compute == ComputeType::kBf16, plan.compute_reason.empty());
  if (plan.compute != ComputeType::kBf16) return;
  const absl::Span<const float> anchor;
  std::vector<float> values(8);
  ASSERT_TRUE(
      model_->Observe(moving_, {anchor}, *rows_, 0, 8, {}, plan, absl::MakeSpan(values)).ok());
  const auto want = golden_["losses"].get<std::vector<float>>();
  ExpectNear(values, want, 0.03f);
  EXPECT_NE(values, Observed({}, {{}}, 0, 8));
}

TEST(OwnLosses, AreTakenAsTheyAreAndThereAreNoLogits) {
  const auto model = LoadTestModel("own_losses", "features", LossKind::kProgramLosses);
  SampleBatch batch;
  batch.rows = 2;
  batch.columns = {FloatColumn("features", {2}, {1, 1, 3, 0.5f})};
  const auto rows = ValueOrDie(model->Upload(batch));
  const MovingSet moving = ValueOrDie(SelectParameters(model->info().parameters, {}));
  const absl::Span<const float> anchor;
  std::vector<float> values(2);
  ASSERT_TRUE(model->Observe(moving, {anchor}, *rows, 0, 2, {}, {}, absl::MakeSpan(values)).ok());
  EXPECT_THAT(values,
              ::testing::ElementsAre(0.5f, 2.0f));  // scale (1, 2): ((0 + 1) / 2, (4 + 0) / 2)
  EXPECT_EQ(FieldPath(model->Observe(moving, {anchor}, *rows, 0, 2, {ObservableKind::kMargin}, {},
                                     absl::MakeSpan(values))),
            "observable.kind");
}

TEST(TorchEngine, SaysWhatItsNumbersRestOn) {
  const EngineInfo& info = testing::TestEngine().info();
  EXPECT_EQ(info.device, testing::TestDevice());
  EXPECT_GE(info.threads, 1);
  EXPECT_THAT(info.numerics, ::testing::HasSubstr("torch "));
  EXPECT_THAT(info.numerics, ::testing::HasSubstr("threads"));
}

TEST(TorchEngine, ADeviceThatIsNotThereIsRefused) {
  testing::TestEngine();
  EXPECT_EQ(FieldPath(MakeTorchEngine({.device = "tpu"}).status()), "device");
  EXPECT_EQ(FieldPath(MakeTorchEngine({.device = "cuda:x"}).status()), "device");
  EXPECT_EQ(FieldPath(MakeTorchEngine({.device = "cuda:4096"}).status()), "device");
  EXPECT_EQ(FieldPath(MakeTorchEngine({.device = "cpu", .threads = -1}).status()), "threads");
}

}  // namespace
}  // namespace bif::engine
