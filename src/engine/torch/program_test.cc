// Programs that PyTorch exported while this was built, against what PyTorch computed from them.
#include "src/engine/torch/program.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/files.h"
#include "src/base/safetensors.h"
#include "src/engine/torch/tensor_bytes.h"

namespace bif::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The programs are small: more threads only wait for each other.
[[maybe_unused]] const bool kOneThread = [] {
  at::set_num_threads(1);
  return true;
}();

std::string Path(const std::string& name) { return BIF_TEST_PROGRAMS "/" + name; }

struct Case {
  std::string name;
  std::vector<std::string> inputs;
  LossKind loss = LossKind::kCrossEntropy;
  std::vector<std::string> weights = {};  // empty: those in the archive
};

std::vector<Case> Cases() {
  return {{"mlp", {"image"}},
          {"mlp_decomposed", {"image"}},
          {"resnet", {"image"}},
          {"resnet_decomposed", {"image"}},
          {"vit", {"image"}},
          {"own_losses", {"label", "features"}, LossKind::kProgramLosses},  // not the graph's order
          {"no_grad_inside", {"features"}},
          {"tied", {"tokens"}, LossKind::kProgramLosses}};
}

// What make_hub_models.py exported with the recipe: the folder's own files are the weights.
std::vector<Case> LanguageModels() {
  const auto model = [](const std::string& name, std::vector<std::string> weights) {
    return Case{name, {"tokens"}, LossKind::kNextToken, std::move(weights)};
  };
  std::vector<std::string> shards;
  for (int i = 1; i <= 5; ++i)
    shards.push_back(absl::StrCat("llama/model-0000", i, "-of-00005.safetensors"));
  return {model("gpt2", {"gpt2/model.safetensors"}),
          model("gpt_neox", {"gpt_neox/model.safetensors"}), model("llama", shards),
          model("llama_adapted",
                {"llama_adapted/model.safetensors", "llama_adapter/adapter_model.safetensors"}),
          model("qwen2", {"qwen2/model.safetensors"})};
}

WeightsSource Weights(const Case& program) {
  WeightsSource source;
  for (const std::string& file : program.weights) source.safetensors_paths.push_back(Path(file));
  return source;
}

ProgramSource Source(const Case& program) {
  ProgramSource source{
      .path = Path(program.name + ".pt2"), .loss = program.loss, .target_column = "target"};
  for (const std::string& input : program.inputs)
    source.inputs.push_back({.input = input, .column = input});
  return source;
}

std::unique_ptr<Program> Load(const Case& program) {
  auto loaded = Program::Load(Source(program), at::kCPU);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? *std::move(loaded) : nullptr;
}

// What make_programs.py wrote for a program.
class Expected {
 public:
  explicit Expected(const Case& program)
      : file_(*SafetensorsFile::Open(Path(program.name + ".expected.safetensors"))) {
    for (const std::string& input : program.inputs) inputs_.push_back(Get("input." + input));
  }
  at::Tensor Get(const std::string& name) const {
    const SafetensorsTensor* tensor = file_.Find(name);
    EXPECT_NE(tensor, nullptr) << name;
    return CopyTensor(*tensor, *ToScalarType(tensor->dtype));
  }
  const std::vector<at::Tensor>& inputs() const { return inputs_; }

 private:
  SafetensorsFile file_;
  std::vector<at::Tensor> inputs_;
};

void ExpectClose(const at::Tensor& got, const at::Tensor& wanted, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(got.sizes(), wanted.sizes()) << what;
  const double scale = std::max(1.0, wanted.abs().max().item<double>());
  EXPECT_LE((got - wanted).abs().max().item<double>(), tolerance * scale) << what;
}

class GoodProgram : public ::testing::TestWithParam<Case> {
 protected:
  // Outputs of the same kernels differ by their threads alone. Language models were computed with
  // another kernel of attention; what is promised of their logits is 1e-5.
  static double tolerance() { return GetParam().loss == LossKind::kNextToken ? 1e-5 : 1e-6; }
};

TEST_P(GoodProgram, OutputAndGradientsEqualPyTorchs) {
  const auto program = Load(GetParam());
  ASSERT_NE(program, nullptr);
  const Expected expected(GetParam());
  auto parameters = program->LoadWeights(Weights(GetParam()));
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  for (at::Tensor& parameter : *parameters) parameter.requires_grad_();
  const auto output = program->Run(*parameters, expected.inputs());
  ASSERT_TRUE(output.ok()) << output.status();
  ExpectClose(*output, expected.Get("output"), tolerance(), "output");

  const at::Tensor loss = (*output * expected.Get("probe")).sum();
  const auto gradients = torch::autograd::grad({loss}, *parameters);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const std::string name = "grad." + program->info().parameters[i].name;
    ExpectClose(gradients[i], expected.Get(name), 5e-6, name);
  }
}

TEST_P(GoodProgram, WithoutGradientsNothingIsRecorded) {
  const auto program = Load(GetParam());
  ASSERT_NE(program, nullptr);
  const Expected expected(GetParam());
  auto parameters = program->LoadWeights(Weights(GetParam()));
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  for (at::Tensor& parameter : *parameters) parameter.requires_grad_();
  const at::NoGradGuard no_grad;
  const auto output = program->Run(*parameters, expected.inputs());
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_FALSE(output->requires_grad());
  EXPECT_FALSE(at::GradMode::is_enabled());
  ExpectClose(*output, expected.Get("output"), tolerance(), "output");
}

TEST_P(GoodProgram, OtherWeightsComeFromSafetensors) {
  const auto program = Load(GetParam());
  ASSERT_NE(program, nullptr);
  const Expected expected(GetParam());
  const auto parameters = program->LoadWeights({{Path(GetParam().name + ".weights.safetensors")}});
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  const auto output = program->Run(*parameters, expected.inputs());
  ASSERT_TRUE(output.ok()) << output.status();
  ExpectClose(*output, expected.Get("other_output"), tolerance(), "output");
}

// Two chains in one batched call against one after the other, forward and backward.
TEST_P(GoodProgram, BatchedChainsEqualALoop) {
  namespace functorch = at::functorch;
  const auto program = Load(GetParam());
  ASSERT_NE(program, nullptr);
  const Expected expected(GetParam());
  const auto first = program->LoadWeights(Weights(GetParam()));
  ASSERT_TRUE(first.ok()) << first.status();
  at::manual_seed(7);
  std::vector<at::Tensor> second;
  std::vector<at::Tensor> stacked;
  for (const at::Tensor& parameter : *first) {
    second.push_back(parameter + 0.05 * at::randn_like(parameter));
    stacked.push_back(at::stack({parameter, second.back()}).requires_grad_());
  }
  const at::Tensor probe = expected.Get("probe");

  at::Tensor batched_loss, batched_output;
  {
    const auto level = functorch::initAndPushDynamicLayer(functorch::TransformType::Vmap, 2,
                                                          functorch::RandomnessType::Error);
    std::vector<at::Tensor> wrapped;
    for (const at::Tensor& parameter : stacked)
      wrapped.push_back(functorch::makeBatched(parameter, 0, level));
    const auto output = program->Run(wrapped, expected.inputs());
    at::Tensor loss;
    if (output.ok()) {
      loss = (*output * probe).sum();
      const auto* batched = functorch::maybeGetBatchedImpl(*output);
      batched_output = batched->value().movedim(batched->bdim(), 0);
    }
    functorch::popDynamicLayerAndDeleteMetadata();
    ASSERT_TRUE(output.ok()) << output.status();
    batched_loss = functorch::maybeGetBatchedImpl(loss)->value();
  }
  const auto batched = torch::autograd::grad({batched_loss.sum()}, stacked);

  const std::vector<std::vector<at::Tensor>> chains = {*first, second};
  for (int64_t chain = 0; chain < 2; ++chain) {
    std::vector<at::Tensor> parameters;
    for (const at::Tensor& parameter : chains[static_cast<size_t>(chain)]) {
      parameters.push_back(parameter.clone().requires_grad_());
    }
    const auto output = program->Run(parameters, expected.inputs());
    ASSERT_TRUE(output.ok()) << output.status();
    const at::Tensor loss = (*output * probe).sum();
    ExpectClose(batched_output[chain], *output, 5e-6, "output");
    const auto single = torch::autograd::grad({loss}, parameters);
    for (size_t i = 0; i < single.size(); ++i) {
      ExpectClose(batched[i][chain], single[i], 2e-5, program->info().parameters[i].name);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Program, GoodProgram, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(LanguageModel, GoodProgram, ::testing::ValuesIn(LanguageModels()),
                         [](const auto& test) { return test.param.name; });

class LanguageModel : public ::testing::TestWithParam<Case> {};

TEST_P(LanguageModel, AnyLengthGivesPyTorchsLogits) {
  const auto program = Load(GetParam());
  ASSERT_NE(program, nullptr);
  const Expected expected(GetParam());
  const auto parameters = program->LoadWeights(Weights(GetParam()));
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  const auto output = program->Run(*parameters, {expected.Get("longer.tokens")});
  ASSERT_TRUE(output.ok()) << output.status();
  ExpectClose(*output, expected.Get("longer_output"), 1e-5, "logits");
}

TEST_P(LanguageModel, WeightsAreInTheFolderAlone) {
  const auto program = Load(GetParam());
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(program->LoadWeights({}).status().code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Program, LanguageModel, ::testing::ValuesIn(LanguageModels()),
                         [](const auto& test) { return test.param.name; });

absl::StatusOr<std::vector<at::Tensor>> LoadMlp(const std::vector<std::string>& files) {
  const auto program = Load({"mlp", {"image"}});
  WeightsSource source;
  for (const std::string& file : files) source.safetensors_paths.push_back(Path(file));
  return program->LoadWeights(source);
}

void ExpectWeightsRefused(const std::vector<std::string>& files, const std::string& part) {
  const absl::Status status = LoadMlp(files).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(ProgramWeights, OtherFloatTypesAreConverted) {
  const auto own = LoadMlp({});
  ASSERT_TRUE(own.ok());
  for (const auto& [file, tolerance] :
       std::vector<std::pair<std::string, double>>{{"mlp.f64.safetensors", 0},
                                                   {"mlp.f16.safetensors", 1e-3},
                                                   {"mlp.bf16.safetensors", 8e-3}}) {
    const auto converted = LoadMlp({file});
    ASSERT_TRUE(converted.ok()) << converted.status();
    for (size_t i = 0; i < own->size(); ++i) {
      EXPECT_EQ((*converted)[i].scalar_type(), at::kFloat);
      EXPECT_TRUE((*converted)[i].is_contiguous());
      ExpectClose((*converted)[i], (*own)[i], tolerance, file);
    }
  }
}

TEST(ProgramWeights, MayComeInSeveralFiles) {
  EXPECT_TRUE(LoadMlp({"mlp.first_half.safetensors", "mlp.second_half.safetensors"}).ok());
}

TEST(ProgramWeights, WhatDoesNotFitIsNamed) {
  ExpectWeightsRefused({"mlp.first_half.safetensors"},
                       "'fc2.weight' is missing; 'fc2.bias' is missing");
  ExpectWeightsRefused({"mlp.extra.safetensors"}, "'fc3.weight' is not in the program");
  ExpectWeightsRefused({"mlp.transposed.safetensors"},
                       "'fc1.weight' is [12,16] where [16,12] is wanted");
  ExpectWeightsRefused({"mlp.i64.safetensors"}, "'fc1.weight' has the dtype I64");
  ExpectWeightsRefused({"mlp.nan.safetensors"}, "'fc2.bias' holds a value that is not finite");
  ExpectWeightsRefused({"mlp.f64.safetensors", "mlp.first_half.safetensors"}, "is in two files");
  ExpectWeightsRefused({"resnet.weights.safetensors"}, "more");
  ExpectWeightsRefused({"mlp.pt2"}, "safetensors");
  EXPECT_EQ(LoadMlp({"nowhere.safetensors"}).status().code(), absl::StatusCode::kNotFound);
}

TEST(ProgramWeights, TheDigestSpeaksOfValuesNotOfFiles) {
  const auto program = Load({"mlp", {"image"}});
  const auto own = program->WeightsDigest({});
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->size(), 64u);
  EXPECT_EQ(program->WeightsDigest({{Path("mlp.f64.safetensors")}}).value(), *own);
  EXPECT_NE(program->WeightsDigest({{Path("mlp.bf16.safetensors")}}).value(), *own);
  EXPECT_FALSE(program->WeightsDigest({{Path("mlp.nan.safetensors")}}).ok());
}

TEST(ProgramWeights, TiedWeightsAreOneParameterUnderEitherName) {
  const auto program = Load({"tied", {"tokens"}, LossKind::kProgramLosses});
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(program->info().parameters.size(), 3u);
  EXPECT_TRUE(program->LoadWeights({{Path("tied.once.safetensors")}}).ok());
  const absl::Status torn = program->LoadWeights({{Path("tied.torn.safetensors")}}).status();
  EXPECT_THAT(std::string(torn.message()), HasSubstr("are one tied parameter but differ"));
}

TEST(ProgramWeights, AFailureKeepsTheBuffersThatWereLoaded) {
  const Case resnet{"resnet", {"image"}};
  const auto program = Load(resnet);
  const Expected expected(resnet);
  const auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok());
  EXPECT_FALSE(program->LoadWeights({{Path("mlp.nan.safetensors")}}).ok());
  const auto output = program->Run(*parameters, expected.inputs());
  ASSERT_TRUE(output.ok()) << output.status();
  ExpectClose(*output, expected.Get("output"), 1e-6, "output");
}

TEST(Program, FrozenParametersDoNotMoveButCount) {
  const auto program = Load({"frozen", {"image"}});
  ASSERT_NE(program, nullptr);
  auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  ASSERT_EQ(parameters->size(), 2u);
  EXPECT_TRUE(program->Run(*parameters, {at::zeros({2, 3, 2, 2})}).ok());
}

// The operators that a backward pass from `output` goes through.
std::set<std::string> BackwardOperators(const at::Tensor& output) {
  std::set<std::string> names;
  std::vector<const torch::autograd::Node*> open = {output.grad_fn().get()};
  while (!open.empty()) {
    const torch::autograd::Node* node = open.back();
    open.pop_back();
    if (node == nullptr) continue;
    names.insert(node->name());
    for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
  }
  return names;
}

TEST(Program, NothingIsRecordedBelowTheFirstParameterThatMoves) {
  const auto program = Load({"mlp", {"image"}});
  auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok());
  (*parameters)[2].requires_grad_();  // fc2.weight
  const auto output = program->Run(*parameters, {at::zeros({2, 3, 2, 2})});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(BackwardOperators(*output).count("ReluBackward0"), 0u);
  (*parameters)[0].requires_grad_();  // fc1.weight
  const auto from_below = program->Run(*parameters, {at::zeros({2, 3, 2, 2})});
  ASSERT_TRUE(from_below.ok());
  EXPECT_EQ(BackwardOperators(*from_below).count("ReluBackward0"), 1u);
}

TEST(Program, AnyBatchSizeGivesTheSameRows) {
  const Case vit{"vit", {"image"}};
  const auto program = Load(vit);
  const Expected expected(vit);
  const auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok());
  const at::Tensor image = expected.inputs()[0];
  const auto one = program->Run(*parameters, {image.slice(0, 1, 2)});
  const auto many = program->Run(*parameters, {image.repeat({9, 1, 1, 1})});
  ASSERT_TRUE(one.ok() && many.ok());
  ExpectClose(*one, expected.Get("output").slice(0, 1, 2), 1e-6, "one row");
  ExpectClose(many->slice(0, 32, 36), expected.Get("output"), 1e-6, "many rows");
}

TEST(Program, WhatFailsWhileRunningNamesNodeOperatorAndShapes) {
  const auto program = Load({"mlp", {"image"}});
  auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok());
  const absl::Status status = program->Run(*parameters, {at::zeros({2, 3, 2, 3})}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("node 'linear' (torch.ops.aten.linear.default) on [2, 18]"));
  EXPECT_TRUE(program->Run(*parameters, {at::zeros({2, 3, 2, 2})}).ok()) << "usable afterwards";
}

TEST(Program, OutOfMemoryIsResourceExhausted) {
  const auto program = Load({"mlp", {"image"}});
  auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok());
  const at::Tensor huge =
      at::zeros({1, 3, 2, 2}).expand({int64_t{1} << 45, 3, 2, 2});  // no memory until it is copied
  EXPECT_EQ(program->Run(*parameters, {huge}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Program, TensorsThatDoNotFitAreInternal) {
  const auto program = Load({"mlp", {"image"}});
  auto parameters = program->LoadWeights({});
  ASSERT_TRUE(parameters.ok());
  const at::Tensor image = at::zeros({2, 3, 2, 2});
  EXPECT_EQ(program->Run({}, {image}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(program->Run(*parameters, {}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(program->Run(*parameters, {image.to(at::kLong)}).status().code(),
            absl::StatusCode::kInternal);
}

void ExpectRefused(const std::string& name, const std::string& part) {
  const absl::Status status = Program::Load(Source({name, {"image"}}), at::kCPU).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(Program, RefusesValuesAndArgumentsThatDoNotExist) {
  ExpectRefused("bad_value", "argument 'input': the value 'nowhere' is not known at this point");
  ExpectRefused("bad_argument", "argument");
  EXPECT_EQ(Program::Load(Source({"nowhere", {"image"}}), at::kCPU).status().code(),
            absl::StatusCode::kNotFound);
}

// Every flip leaves a program that is refused or loads; none may crash or throw.
TEST(Program, NoFlippedByteOfTheGraphCrashesLoading) {
  const auto bytes = ReadFile(Path("mlp.pt2"));
  ASSERT_TRUE(bytes.ok());
  const size_t graph = bytes->find("{\"graph_module\"");
  ASSERT_NE(graph, std::string::npos);
  const std::string path = ::testing::TempDir() + "/flipped.pt2";
  ProgramSource source = Source({"mlp", {"image"}});
  source.path = path;
  int loaded = 0;
  for (size_t i = graph; i < graph + 4000; i += 11) {
    std::string damaged = *bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 7)));
    std::ofstream(path, std::ios::binary) << damaged;
    loaded += Program::Load(source, at::kCPU).ok() ? 1 : 0;
  }
  EXPECT_LT(loaded, 300);
}

}  // namespace
}  // namespace bif::engine
