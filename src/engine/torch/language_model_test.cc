// Language models of four architectures against PyTorch's numbers in double precision
// (language_golden.json of make_language_models.py): losses of tokens and sequences, observables,
// gradients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "src/base/status.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using ::testing::HasSubstr;
using testing::LoadLanguageModel;
using testing::RandomSequences;
using testing::TokenBatch;
using testing::ValueOrDie;

using Numbers = std::vector<double>;
constexpr double kTolerance = 1e-5;

nlohmann::json Golden(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(testing::ProgramPath("language_golden.json")))[name];
}

SampleBatch GoldenBatch(const nlohmann::json& golden) {
  return TokenBatch(golden["tokens"].get<std::vector<std::vector<int32_t>>>(),
                    golden["masks"].get<std::vector<std::vector<uint8_t>>>());
}

SequenceSpec Masked(TokenReduction reduction = TokenReduction::kMean) {
  return {reduction, "mask", 0};
}

ExecutionPlan Plan(int64_t trace_rows, int64_t trace_tokens, int64_t step_rows = 0) {
  ExecutionPlan plan;
  plan.trace_batch_rows = trace_rows;
  plan.trace_batch_tokens = trace_tokens;
  plan.step_batch_rows = step_rows;
  return plan;
}

MovingSet AllOf(const Model& model) {
  return ValueOrDie(SelectParameters(model.info().parameters, {}));
}

int64_t ValuesOf(const ResidentRows& rows, int64_t first, int64_t count, ObservableKind kind) {
  if (kind != ObservableKind::kTokenLosses) return count;
  int64_t values = 0;
  for (int64_t row = first; row < first + count; ++row) values += rows.token_losses(row);
  return values;
}

// At w* + each delta.
std::vector<float> Observed(Model& model, const ResidentRows& rows, const Observable& observable,
                            const ExecutionPlan& plan = {}, int64_t first = 0, int64_t count = -1,
                            const std::vector<std::vector<float>>& deltas = {{}}) {
  if (count < 0) count = rows.rows();
  const std::vector<absl::Span<const float>> spans(deltas.begin(), deltas.end());
  std::vector<float> values(spans.size() *
                            static_cast<size_t>(ValuesOf(rows, first, count, observable.kind)));
  const absl::Status status = model.Observe(AllOf(model), spans, rows, first, count, observable,
                                            plan, absl::MakeSpan(values));
  EXPECT_TRUE(status.ok()) << status;
  return values;
}

absl::Status ObserveStatus(Model& model, const ResidentRows& rows, const Observable& observable,
                           size_t room = 0) {
  std::vector<float> values(room == 0 ? static_cast<size_t>(rows.rows()) : room);
  const absl::Span<const float> anchor;
  return model.Observe(AllOf(model), {anchor}, rows, 0, rows.rows(), observable, {},
                       absl::MakeSpan(values));
}

template <typename Wanted>
void ExpectNear(const std::vector<float>& got, const Wanted& want, double tolerance,
                const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << what << i;
}

class LanguageModel : public ::testing::TestWithParam<const char*> {
 protected:
  const nlohmann::json golden_ = Golden(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Architectures, LanguageModel,
                         ::testing::Values("llama", "qwen2", "gpt2", "neox", "without_head"),
                         [](const auto& name) { return std::string(name.param); });

TEST_P(LanguageModel, ObservablesEqualPyTorch) {
  const auto model = LoadLanguageModel(GetParam(), Masked());
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  const auto observed = [&](ObservableKind kind) { return Observed(*model, *rows, {kind}); };
  ExpectNear(observed(ObservableKind::kLoss), golden_["means"].get<Numbers>(), kTolerance, "loss ");
  ExpectNear(observed(ObservableKind::kMargin), golden_["margins"].get<Numbers>(), kTolerance,
             "margin ");
  ExpectNear(observed(ObservableKind::kCorrectProbability), golden_["probabilities"].get<Numbers>(),
             kTolerance, "probability ");
}

TEST_P(LanguageModel, TokenLossesEqualPyTorchAndMaskedOnesAreZero) {
  const auto model = LoadLanguageModel(GetParam(), Masked());
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  Numbers want;
  for (size_t row = 0; row < golden_["tokens"].size(); ++row) {
    const auto losses = golden_["token_losses"][row].get<Numbers>();
    EXPECT_EQ(rows->token_losses(static_cast<int64_t>(row)), static_cast<int64_t>(losses.size()));
    for (size_t i = 0; i < losses.size(); ++i)
      want.push_back(golden_["masks"][row][i + 1] == 0 ? 0.0 : losses[i]);
  }
  const std::vector<float> got = Observed(*model, *rows, {ObservableKind::kTokenLosses});
  ExpectNear(got, want, kTolerance, "token ");
  for (size_t i = 0; i < got.size(); ++i) {
    if (want[i] == 0) {
      EXPECT_EQ(got[i], 0.0f);
    }
  }
}

TEST_P(LanguageModel, SingleTokensAndSpansEqualPyTorch) {
  const auto model = LoadLanguageModel(GetParam());
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  const auto row_3 = [&](const Observable& observable) {
    return Observed(*model, *rows, observable, {}, 3, 1)[0];
  };
  const auto losses = golden_["token_losses"][3].get<Numbers>();
  const auto logits = golden_["logits_of_row_3"].get<std::vector<Numbers>>();
  for (const uint32_t position : {1u, 6u, 11u}) {
    EXPECT_NEAR(row_3({.kind = ObservableKind::kTokenProbability, .position = position}),
                std::exp(-losses[position - 1]), kTolerance);
    EXPECT_NEAR(row_3({.kind = ObservableKind::kLogit, .logit_index = 17, .position = position}),
                logits[position - 1][17], kTolerance);
    EXPECT_NEAR(row_3({.kind = ObservableKind::kLogitDifference,
                       .logit_index = 17,
                       .other_logit_index = 4,
                       .position = position}),
                logits[position - 1][17] - logits[position - 1][4], kTolerance);
  }
  const auto mean = [&](size_t begin, size_t end) {
    return std::accumulate(losses.begin() + static_cast<ptrdiff_t>(begin) - 1,
                           losses.begin() + static_cast<ptrdiff_t>(end) - 1, 0.0) /
           static_cast<double>(end - begin);
  };
  EXPECT_NEAR(row_3({.kind = ObservableKind::kSpanLoss, .span_begin = 4, .span_end = 9}),
              mean(4, 9), kTolerance);
  EXPECT_NEAR(row_3({.kind = ObservableKind::kSpanLoss, .span_begin = 4}), mean(4, 12), kTolerance);
}

// With eps 2, nbeta 1 and neither noise nor pull, a step is minus the gradient.
SamplerSettings GradientStep(uint32_t rows) {
  SamplerSettings settings;
  settings.step_size = 2;
  settings.nbeta = 1;
  settings.noise_scale = 0;
  settings.batch_order = BatchOrder::kReplay;
  settings.replay_batches = {{}};
  for (uint32_t row = 0; row < rows; ++row) settings.replay_batches[0].push_back(row);
  return settings;
}

struct OneStep {
  double loss;
  std::vector<float> delta;
};
OneStep TakeStep(Model& model, const ResidentRows& rows, const MovingSet& moving,
                 const SamplerSettings& settings, const ExecutionPlan& plan, uint32_t chains = 1) {
  const auto group = ValueOrDie(model.StartChains(settings, moving, plan, rows, 0, chains, {}));
  const auto reports = ValueOrDie(group->Advance(1));
  OneStep step{reports.back().mean_loss, std::vector<float>(static_cast<size_t>(moving.elements))};
  EXPECT_TRUE(group->ReadDelta(chains - 1, absl::MakeSpan(step.delta)).ok());
  return step;
}

TEST_P(LanguageModel, GradientsEqualPyTorchHoweverABatchIsCut) {
  for (const TokenReduction reduction : {TokenReduction::kMean, TokenReduction::kSum}) {
    const auto model = LoadLanguageModel(GetParam(), Masked(reduction));
    const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
    Numbers want = golden_["gradients"][reduction == TokenReduction::kMean ? "mean" : "sum"];
    const double scale = reduction == TokenReduction::kMean ? 1 : 6;
    std::vector<float> whole;
    for (const int64_t step_rows : {0, 1, 3}) {
      const OneStep step =
          TakeStep(*model, *rows, AllOf(*model), GradientStep(4), Plan(256, 4096, step_rows));
      std::vector<float> gradient = step.delta;
      for (float& g : gradient) g = -g;
      ExpectNear(gradient, want, kTolerance * scale, "element ");
      if (whole.empty()) whole = gradient;
      ExpectNear(gradient, whole, 1e-6 * scale, "against the whole batch, element ");
      if (reduction == TokenReduction::kMean) {
        const auto means = golden_["means"].get<Numbers>();
        EXPECT_NEAR(step.loss, std::accumulate(means.begin(), means.begin() + 4, 0.0) / 4,
                    kTolerance);
      }
    }
  }
}

TEST_P(LanguageModel, ValuesDoNotDependOnBucketsOrNeighbours) {
  const auto model = LoadLanguageModel(GetParam());
  const auto rows = ValueOrDie(model->Upload(RandomSequences(40, 2, 48, 32)));
  for (const ObservableKind kind : {ObservableKind::kLoss, ObservableKind::kTokenLosses}) {
    const std::vector<float> want = Observed(*model, *rows, {kind}, Plan(1, 1));
    for (const auto& [window, tokens] :
         {std::pair(40, 100000), std::pair(40, 96), std::pair(7, 300), std::pair(256, 1)}) {
      ExpectNear(Observed(*model, *rows, {kind}, Plan(window, tokens)), want, kTolerance, "value ");
    }
    const int64_t skipped = ValuesOf(*rows, 0, 5, kind), taken = ValuesOf(*rows, 5, 9, kind);
    const auto begin = want.begin() + skipped;
    ExpectNear(Observed(*model, *rows, {kind}, Plan(4, 200), 5, 9),
               std::vector<float>(begin, begin + taken), kTolerance, "value ");
  }
}

// Against torch.autocast, whose rounding is coarse but the same. Where there is no bf16, the plan
// says so.
TEST_P(LanguageModel, MixedPrecisionEqualsAutocastOrSaysWhyNot) {
  const auto model = LoadLanguageModel(GetParam());
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  SamplerSettings settings = GradientStep(4);
  settings.compute = ComputeType::kBf16;
  const ExecutionPlan plan = ValueOrDie(model->Tune(settings, AllOf(*model), *rows));
  EXPECT_EQ(plan.compute == ComputeType::kBf16, plan.compute_reason.empty());
  if (plan.compute != ComputeType::kBf16) return;

  const auto want = golden_["bf16"]["losses"].get<Numbers>();
  const std::vector<float> got = Observed(*model, *rows, {}, plan);
  ExpectNear(got, want, 0.03, "loss ");
  EXPECT_NE(got, Observed(*model, *rows, {}));
  const auto gradient = golden_["bf16"]["gradient"].get<Numbers>();
  const OneStep step = TakeStep(*model, *rows, AllOf(*model), settings, plan);
  double error = 0, size = 0;
  for (size_t i = 0; i < gradient.size(); ++i) {
    error += (step.delta[i] + gradient[i]) * (step.delta[i] + gradient[i]);
    size += gradient[i] * gradient[i];
  }
  EXPECT_LT(error, 0.02 * 0.02 * size);
}

TEST_P(LanguageModel, TunedPlansAndPlainAttentionChangeRoundingOnly) {
  const auto model = LoadLanguageModel(GetParam());
  const auto rows = ValueOrDie(model->Upload(RandomSequences(40, 2, 48, 32)));
  const SamplerSettings settings = GradientStep(8);
  const MovingSet all = AllOf(*model);
  const std::vector<float> want = Observed(*model, *rows, {}, Plan(40, 4096));
  const OneStep step = TakeStep(*model, *rows, all, settings, Plan(40, 4096));
  ExecutionPlan plain = Plan(40, 4096);
  plain.plain_attention = true;
  const ExecutionPlan tuned = ValueOrDie(model->Tune(settings, all, *rows));
  EXPECT_GT(tuned.step_batch_rows, 0);
  for (const ExecutionPlan& plan : {plain, tuned}) {
    ExpectNear(Observed(*model, *rows, {}, plan), want, kTolerance, plan.ToString());
    ExpectNear(TakeStep(*model, *rows, all, settings, plan).delta, step.delta, 1e-6,
               plan.ToString());
  }
}

class Llama : public ::testing::Test {
 protected:
  const nlohmann::json golden_ = Golden("llama");
};

TEST_F(Llama, SequenceLossesAreTheReductionOfTheirTokens) {
  for (const TokenReduction reduction : {TokenReduction::kMean, TokenReduction::kSum}) {
    const auto model = LoadLanguageModel("llama", Masked(reduction));
    const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
    const std::vector<float> losses = Observed(*model, *rows, {ObservableKind::kLoss});
    const std::vector<float> tokens = Observed(*model, *rows, {ObservableKind::kTokenLosses});
    auto begin = tokens.begin();
    for (size_t row = 0; row < losses.size(); ++row) {
      const auto end = begin + rows->token_losses(static_cast<int64_t>(row));
      double sum = std::accumulate(begin, end, 0.0);
      if (reduction == TokenReduction::kMean)
        sum /= static_cast<double>(std::count_if(begin, end, [](float x) { return x != 0; }));
      EXPECT_EQ(losses[row], static_cast<float>(sum)) << row;
      begin = end;
    }
  }
}

TEST_F(Llama, LongSequencesAreCut) {
  const auto model = LoadLanguageModel("llama", {TokenReduction::kMean, "", 5});
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  EXPECT_EQ(rows->token_losses(3), 4);
  EXPECT_EQ(rows->token_losses(4), 1);
  const auto losses = golden_["token_losses"][3].get<Numbers>();
  EXPECT_NEAR(Observed(*model, *rows, {}, {}, 3, 1)[0],
              (losses[0] + losses[1] + losses[2] + losses[3]) / 4, kTolerance);
}

TEST_F(Llama, SeveralDrawsGiveOneAfterTheOther) {
  const auto model = LoadLanguageModel("llama");
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  std::vector<std::vector<float>> deltas(3);
  deltas[1].assign(static_cast<size_t>(AllOf(*model).elements), 0.01f);
  const Observable every{ObservableKind::kTokenLosses};
  const std::vector<float> all = Observed(*model, *rows, every, {}, 1, 3, deltas);
  const auto a_draw = static_cast<size_t>(ValuesOf(*rows, 1, 3, every.kind));
  for (size_t d = 0; d < deltas.size(); ++d) {
    const auto part = all.begin() + static_cast<ptrdiff_t>(d * a_draw);
    ExpectNear(Observed(*model, *rows, every, {}, 1, 3, {deltas[d]}),
               std::vector<float>(part, part + static_cast<ptrdiff_t>(a_draw)), kTolerance, "");
  }
  EXPECT_NE(all[0], all[a_draw]);
}

TEST_F(Llama, BadSequencesAreRefusedWithTheirRow) {
  const auto model = LoadLanguageModel("llama", Masked());
  const auto refused = [&](std::vector<int32_t> tokens, std::vector<uint8_t> mask,
                           const std::string& says) {
    const absl::Status status =
        model->Upload(TokenBatch({{1, 2, 3}, std::move(tokens)}, {{1, 1, 1}, std::move(mask)}))
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(says));
  };
  refused({1, 32}, {1, 1}, "row 1: token 32 at position 1");
  refused({1}, {1}, "row 1: it has 1 token");
  refused({1, 2, 3}, {1, 0, 0}, "row 1: its mask 'mask' hides every token");
  refused({1, 2, 3}, {1, 1}, "row 1: its mask 'mask' has 2 entries");
}

TEST_F(Llama, OtherLossesTakeSequencesOfOneLengthOnly) {
  ProgramSource source;
  source.path = testing::ProgramPath("own_losses.pt2");
  source.loss = LossKind::kProgramLosses;
  source.inputs = {{.input = "features", .column = "tokens"}};
  const auto model = ValueOrDie(testing::TestEngine().LoadModel(source, {}));
  EXPECT_TRUE(model->Upload(TokenBatch({{1, 2}, {3, 4}})).ok());
  const absl::Status status = model->Upload(TokenBatch({{1, 2}, {3, 4, 5}})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("row 1 of column 'tokens' is 3 long"));
}

TEST_F(Llama, PositionsMustLieInTheShortestSequence) {
  const auto model = LoadLanguageModel("llama", Masked());
  const auto rows = ValueOrDie(
      model->Upload(TokenBatch({{1, 2, 3, 4, 5}, {6, 7, 8}}, {{1, 1, 1, 1, 1}, {1, 0, 1}})));
  const auto path = [&](const Observable& observable) {
    return FieldPath(ObserveStatus(*model, *rows, observable)).value_or("none");
  };
  EXPECT_EQ(path({.kind = ObservableKind::kTokenProbability, .position = 2}), "none");
  EXPECT_EQ(path({.kind = ObservableKind::kTokenProbability, .position = 3}),
            "observable.position");
  EXPECT_EQ(path({.kind = ObservableKind::kTokenProbability, .position = 0}),
            "observable.position");
  EXPECT_EQ(path({.kind = ObservableKind::kLogit, .logit_index = 32, .position = 1}),
            "observable.logit_index");
  EXPECT_EQ(path({.kind = ObservableKind::kLogitDifference,
                  .logit_index = 1,
                  .other_logit_index = 32,
                  .position = 1}),
            "observable.other_logit_index");
  EXPECT_EQ(path({.kind = ObservableKind::kSpanLoss, .span_begin = 0, .span_end = 2}),
            "observable.span_begin");
  EXPECT_EQ(path({.kind = ObservableKind::kSpanLoss, .span_begin = 3}), "observable.span_begin");
  EXPECT_EQ(path({.kind = ObservableKind::kSpanLoss, .span_begin = 2, .span_end = 2}),
            "observable.span_end");
  EXPECT_EQ(path({.kind = ObservableKind::kSpanLoss, .span_begin = 2, .span_end = 4}),
            "observable.span_end");
  EXPECT_EQ(path({.kind = ObservableKind::kSpanLoss, .span_begin = 1, .span_end = 2}),
            "observable.span_begin");  // row 1's mask hides all of it
  EXPECT_EQ(path({.kind = ObservableKind::kSpanLoss, .span_begin = 1, .span_end = 3}), "none");
  EXPECT_EQ(ObserveStatus(*model, *rows, {ObservableKind::kTokenLosses}, 5).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ObserveStatus(*model, *rows, {ObservableKind::kTokenLosses}, 6).ok());
}

TEST_F(Llama, BatchedChainsEqualOneByOneWhereSequencesAreAlike) {
  const auto model = LoadLanguageModel("llama");
  const auto alike = ValueOrDie(model->Upload(RandomSequences(12, 9, 9, 32)));
  const auto ragged = ValueOrDie(model->Upload(RandomSequences(12, 4, 9, 32)));
  for (const ResidentRows* rows : {alike.get(), ragged.get()}) {
    ExecutionPlan plan;
    const OneStep loop = TakeStep(*model, *rows, AllOf(*model), GradientStep(6), plan, 3);
    plan.batched_chains = true;
    const OneStep batched = TakeStep(*model, *rows, AllOf(*model), GradientStep(6), plan, 3);
    EXPECT_NEAR(loop.loss, batched.loss, 1e-5);
    ExpectNear(batched.delta, loop.delta, 1e-6, "element ");
  }
}

TEST_F(Llama, OnlyTheHeadMoves) {
  const auto model = LoadLanguageModel("llama", Masked());
  const auto rows = ValueOrDie(model->Upload(GoldenBatch(golden_)));
  const auto golden = golden_["gradients"]["mean"].get<Numbers>();
  for (const char* glob : {"lm_head.*", "embed_tokens.*"}) {
    const MovingSet some = ValueOrDie(SelectParameters(model->info().parameters, {{glob}}));
    const MovingSet all = AllOf(*model);
    const auto begin = all.ranges[static_cast<size_t>(some.ranges[0].parameter)].begin;
    const OneStep step = TakeStep(*model, *rows, some, GradientStep(4), {});
    ASSERT_EQ(step.delta.size(), 512u);
    for (size_t i = 0; i < step.delta.size(); ++i)
      EXPECT_NEAR(-step.delta[i], golden[static_cast<size_t>(begin) + i], kTolerance) << glob << i;
  }
}

}  // namespace
}  // namespace bif::engine
