// Queries to a classifier: observables other than the loss, and labels that are out of range.
#include <gtest/gtest.h>

#include "src/base/status.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

constexpr int64_t kClasses = 3;
constexpr int64_t kFeatures = 2;
constexpr int64_t kRows = 40;

class QueryObservablesTest : public QueriesFixture {
 protected:
  static SampleBatch LabelledRows(int64_t rows, int64_t first_label) {
    std::vector<float> features;
    std::vector<int64_t> labels;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = 0; d < kFeatures; ++d)
        features.push_back(static_cast<float>((r * 7 + d * 5) % 11) / 5 - 1);
      labels.push_back((first_label + r) % kClasses);
    }
    return testing::FakeLabelledRows(features, labels);
  }

  // Softmax regression with three classes on two features.
  void SampleClassifier() {
    const std::string path = WriteFile(
        "softmax.pt2",
        testing::FakeProgramFile(kFeatures, kClasses, {0.3f, -0.1f, 0.2f, 0.4f, -0.5f, 0.1f}));
    const engine::ProgramSource source =
        testing::FakeProgram(path, engine::LossKind::kCrossEntropy);
    ProgramSpec program;
    program.loss = source.loss;
    program.target_column = source.target_column;
    program.inputs = source.inputs;
    const auto made = jobs_->checkpoints().CreateProgram(program, path);
    ASSERT_TRUE(made.ok()) << made.status();
    const auto checkpoint = jobs_->checkpoints().CreateCheckpoint({{}, "", made->name});
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();

    const SampleBatch rows = LabelledRows(kRows, 0);
    ASSERT_TRUE(jobs_->datasets()
                    .Create({{}, "train", "", {rows.columns[0].spec, rows.columns[1].spec}})
                    .ok());
    auto append = jobs_->datasets().StartAppend({}, "datasets/train");
    ASSERT_TRUE(append.ok());
    std::vector<std::string> ids;
    for (int64_t r = 0; r < kRows; ++r) ids.push_back("r" + std::to_string(r));
    ASSERT_TRUE((*append)->Add(rows, ids).ok());
    ASSERT_TRUE((*append)->Commit().ok());

    PosteriorSpec spec;
    spec.checkpoint = checkpoint->name;
    spec.dataset = "datasets/train";
    spec.settings = SomeSettings();
    const auto operation = jobs_->posteriors().Create(spec);
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_TRUE(WaitFor(operation->name).error.ok());
    posterior_ = operation->target;
  }

  static SampleSet InlineLabelled(int64_t rows, int64_t first_label) {
    const SampleBatch batch = LabelledRows(rows, first_label);
    SampleSet set;
    for (int64_t r = 0; r < rows; ++r) set.inline_samples.push_back(SampleAt(batch, r, ""));
    return set;
  }
};

TEST_F(QueryObservablesTest, ForAProbabilityTheSignReadsTheOtherWayRound) {
  SampleClassifier();
  AttributeRequest request = Ask(InlineLabelled(1, 1));
  request.estimator = attribution::Estimator::kNormalizedBif;
  request.top_k = kRows;
  const QueryRanking loss = Answer(request).rankings[0];
  request.observable.kind = engine::ObservableKind::kCorrectProbability;
  const AttributeUpdate probability = Answer(request);
  EXPECT_EQ(probability.rows_evaluated, 1u);  // another observable is another trace
  // p = exp(-loss): who lowers the loss raises the probability.
  EXPECT_LT(loss.helpful[0].score, 0);
  EXPECT_GT(probability.rankings[0].helpful[0].score, 0);
  EXPECT_TRUE(probability.rankings[0].helpful[0].helps);
  EXPECT_FALSE(probability.rankings[0].harmful[0].helps);
  EXPECT_EQ(probability.rankings[0].helpful[0].sample_id, loss.helpful[0].sample_id);
}

TEST_F(QueryObservablesTest, EveryLogitIsATraceOfItsOwn) {
  SampleClassifier();
  AttributeRequest request = Ask(InlineLabelled(1, 1));
  request.observable = {engine::ObservableKind::kLogit, 0};
  EXPECT_EQ(Answer(request).rows_evaluated, 1u);
  request.observable.logit_index = 2;
  EXPECT_EQ(Answer(request).rows_evaluated, 1u);
  EXPECT_EQ(Answer(request).rows_evaluated, 0u);
  request.observable.logit_index = kClasses;
  EXPECT_EQ(FieldPath(ErrorOf(request)), "observable.logit_index");
}

TEST_F(QueryObservablesTest, ALabelOutOfRangeIsRefusedWithItsPathAndLeavesNothingBehind) {
  SampleClassifier();
  SampleSet queries = InlineLabelled(3, 0);
  for (Column& tensor : queries.inline_samples[1].tensors) {
    if (tensor.spec.dtype == DType::kInt64) tensor.data[0] = std::byte{17};
  }
  EXPECT_EQ(ErrorOf(Ask(queries)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(ErrorOf(Ask(queries))), "queries.inline[1]");
  // The good ones of that request were not kept either.
  EXPECT_EQ(Answer(Ask(InlineLabelled(1, 0))).rows_evaluated, 1u);
}

}  // namespace
}  // namespace bif::jobs
