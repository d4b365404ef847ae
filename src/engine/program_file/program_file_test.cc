#include "src/engine/program_file/program_file.h"

#include <cmath>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/engine/program_file/program_layout.h"

namespace bif::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Path(const std::string& name) { return BIF_TEST_PROGRAMS "/" + name; }

ProgramSource Source(const std::string& input, LossKind loss = LossKind::kCrossEntropy) {
  return {.path = "",
          .loss = loss,
          .target_column = "label",
          .inputs = {{.input = input, .column = input}}};
}

absl::StatusOr<ProgramInfo> Inspect(const std::string& name, const ProgramSource& source) {
  BIF_ASSIGN_OR_RETURN(const ProgramFile file, OpenProgramFile(Path(name)));
  BIF_ASSIGN_OR_RETURN(ProgramLayout layout, LayOut(file, source));
  return layout.info;
}

// Whichever single input the program has is bound.
absl::Status Refusal(const std::string& name) {
  for (const char* input : {"image", "features"}) {
    const absl::Status status = Inspect(name, Source(input)).status();
    if (!absl::StrContains(status.message(), "the program has no input")) return status;
  }
  return absl::OkStatus();
}

void ExpectRefused(const std::string& name, const std::string& part) {
  const absl::Status status = Refusal(name);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << ": " << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part)) << name;
}

TEST(ProgramFile, TellsColumnsParametersAndClasses) {
  const auto info = Inspect("mlp.pt2", Source("image"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->columns, ElementsAre(TensorSpec{"image", DType::kUnspecified, {3, 2, 2}},
                                         TensorSpec{"label", DType::kUnspecified, {}}));
  EXPECT_EQ(info->classes, 3);
  ASSERT_EQ(info->parameters.size(), 4u);
  EXPECT_EQ(info->parameters[0].name, "fc1.weight");
  EXPECT_THAT(info->parameters[0].shape, ElementsAre(16, 12));
  EXPECT_EQ(info->parameters[0].elements, 192);
  EXPECT_GT(info->nodes, 3);
}

TEST(ProgramFile, OwnLossesNeedNoTargetAndTakeIntegers) {
  ProgramSource source = Source("features", LossKind::kProgramLosses);
  source.target_column.clear();
  source.inputs.push_back({.input = "label", .column = "y"});
  const auto info = Inspect("own_losses.pt2", source);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->columns, ElementsAre(TensorSpec{"features", DType::kUnspecified, {6}},
                                         TensorSpec{"y", DType::kInt64, {}}));
  EXPECT_EQ(info->classes, 0);
}

TEST(ProgramFile, DynamicSizesAreMinusOneAndTiedWeightsAreOneParameter) {
  ProgramSource source = Source("tokens", LossKind::kProgramLosses);
  const auto info = Inspect("tied.pt2", source);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->columns, ElementsAre(TensorSpec{"tokens", DType::kInt64, {-1}}));
  ASSERT_EQ(info->parameters.size(), 3u);
  EXPECT_EQ(info->parameters[0].name, "embed.weight");
}

ProgramSource NextTokenSource() {
  ProgramSource source = Source("tokens", LossKind::kNextToken);
  source.target_column = "tokens";
  return source;
}

TEST(ProgramFile, NextTokenProgramsTakeSequencesOfAnyLengthAndIntegerType) {
  for (const auto& [name, longest] :
       {std::pair("next_token.pt2", 0), std::pair("next_token_16.pt2", 16),
        std::pair("next_token_6.pt2", 6)}) {
    const auto info = Inspect(name, NextTokenSource());
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_THAT(info->columns, ElementsAre(TensorSpec{"tokens", DType::kUnspecified, {-1}}));
    EXPECT_TRUE(info->sequences);
    EXPECT_EQ(info->classes, 11);
    EXPECT_EQ(info->longest_sequence, longest);
  }
}

TEST(ProgramFile, MaskAndSecondInputAreColumnsOfTheSameLength) {
  ProgramSource source = NextTokenSource();
  source.inputs.push_back({.input = "segments", .column = "speaker"});
  source.sequence = {TokenReduction::kSum, "mask", 150};
  const auto info = Inspect("next_token_segments.pt2", source);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->columns, ElementsAre(TensorSpec{"tokens", DType::kUnspecified, {-1}},
                                         TensorSpec{"speaker", DType::kInt64, {-1}},
                                         TensorSpec{"mask", DType::kUnspecified, {-1}}));
  EXPECT_EQ(info->longest_sequence, 150);
}

TEST(ProgramFile, WrongSequencesAreFieldErrors) {
  const auto expect = [](const std::string& name, const ProgramSource& source,
                         const std::string& path, const std::string& part) {
    const absl::Status status = Inspect(name, source).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(FieldPath(status).value_or("none"), path) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  };
  ProgramSource source = NextTokenSource();
  source.sequence.max_tokens = 1;
  expect("next_token.pt2", source, "sequence.max_tokens", "at least 2");
  source.sequence.max_tokens = 17;
  expect("next_token_16.pt2", source, "sequence.max_tokens", "at most 16");
  source = NextTokenSource();
  source.sequence.reduction = TokenReduction{3};
  expect("next_token.pt2", source, "sequence.reduction", "MEAN_TOKENS");
  source = NextTokenSource();
  source.target_column.clear();
  expect("next_token.pt2", source, "target_column", "column of tokens");
  source = Source("image");
  source.sequence.max_tokens = 8;
  expect("mlp.pt2", source, "sequence", "NEXT_TOKEN");
  source = Source("image", LossKind::kNextToken);
  expect("mlp.pt2", source, "loss", "[batch, tokens, vocabulary]");
  expect("next_token_fours.pt2", NextTokenSource(), "none", "cannot have any length");
}

TEST(ProgramFile, FrozenParametersAreNotTrainable) {
  const auto info = Inspect("frozen.pt2", Source("image"));
  ASSERT_TRUE(info.ok()) << info.status();
  ASSERT_EQ(info->parameters.size(), 2u);
  EXPECT_EQ(info->parameters[0].name, "fc2.weight");
}

TEST(ProgramFile, SquaredErrorTakesTargetsOfTheOutputsShape) {
  const auto info = Inspect("mlp.pt2", Source("image", LossKind::kSquaredError));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->columns[1], (TensorSpec{"label", DType::kUnspecified, {3}}));
  EXPECT_EQ(info->classes, 0);
}

TEST(ProgramFile, WrongBindingsAreFieldErrors) {
  const auto expect = [](const ProgramSource& source, const std::string& path,
                         const std::string& part) {
    const absl::Status status = Inspect("mlp.pt2", source).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldPath(status).value_or("none"), path) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  };
  ProgramSource source = Source("picture");
  expect(source, "inputs[0].input", "it has: image");
  source = Source("image");
  source.inputs.clear();
  expect(source, "inputs", "'image' is bound to no column");
  source = Source("image");
  source.inputs.push_back(source.inputs[0]);
  expect(source, "inputs[1].input", "bound twice");
  source = Source("image");
  source.inputs[0].column.clear();
  expect(source, "inputs[0].column", "must name a column");
  source = Source("image");
  source.inputs[0].scale = {1, 2};
  expect(source, "inputs[0].scale", "has 3 channels");
  source = Source("image");
  source.inputs[0].shift = {NAN};
  expect(source, "inputs[0].shift", "not finite");
  source = Source("image");
  source.target_column.clear();
  expect(source, "target_column", "must name");
  source = Source("image");
  source.target_column = "image";
  expect(source, "target_column", "two ways");
  expect(Source("image", LossKind::kProgramLosses), "loss", "losses [batch]");
  expect(Source("image", static_cast<LossKind>(77)), "loss", "knows");
}

TEST(ProgramFile, RefusesGraphsThatAreNoFunctionOfWeightsAndSample) {
  ExpectRefused("bad_batch_norm.pt2", "buffer 'bn.");
  ExpectRefused("bad_dropout.pt2", "dropout with train=true");
  ExpectRefused("bad_random.pt2",
                "torch.ops.aten.rand_like.default): this operator is not on the list");
  ExpectRefused("bad_counter.pt2", "buffer 'calls'");
  ExpectRefused("bad_input_change.pt2", "input 'features'");
}

TEST(ProgramFile, RefusesOperatorsThatAreNotAllowed) {
  ExpectRefused("bad_custom.pt2",
                "torch.ops.bif_test.twice.default): this operator is not on the list");
  ExpectRefused("bad_branch.pt2", "torch.ops.higher_order.cond): this operator is not on the list");
  ExpectRefused("bad_operator.pt2",
                "torch.ops.aten.from_file.default): this operator is not on the list");
}

TEST(ProgramFile, RefusesBatchesThatCannotTakeAnySize) {
  ExpectRefused("bad_static_batch.pt2", "dynamic_shapes={'image': {0: torch.export.Dim('batch')}");
  ExpectRefused("bad_small_batch.pt2", "limited to");
  ExpectRefused("bad_mean_loss.pt2", "does not begin with the batch dimension");
}

TEST(ProgramFile, RefusesArchivesOfAnotherKindOrVersion) {
  ExpectRefused("bad_old.pt2", "re-export with torch 2.8 or newer");
  ExpectRefused("bad_schema.pt2", "schema version is 9");
  ExpectRefused("bad_torchscript.pt2", "torch.export.save");
  ExpectRefused("bad_big_endian.pt2", "byteorder' says 'big'");
}

TEST(ProgramFile, RefusesDamagedContentByName) {
  ExpectRefused("bad_pickle.pt2", "'fc1.weight': it is pickled");
  ExpectRefused("bad_offset.pt2", "'fc1.weight': it wants");
  ExpectRefused("bad_missing.pt2", "weight_1' is not in the archive");
  ExpectRefused("bad_json.pt2", "is not valid JSON");
  ExpectRefused("bad_compressed.pt2", "is compressed");
  ExpectRefused("bad_half.pt2", "is not float32");
}

TEST(ProgramFile, NoCutIsAccepted) {
  const auto bytes = ReadFile(Path("mlp.pt2"));
  ASSERT_TRUE(bytes.ok());
  for (size_t size = 0; size < bytes->size(); size += 13) {
    EXPECT_FALSE(ParseProgramFile(std::string_view(*bytes).substr(0, size)).ok()) << size;
  }
}

// Flips reach every part of the file: zip headers, JSON and raw weights. The file may stay
// readable; it may not crash.
TEST(ProgramFile, NoFlippedByteCrashes) {
  const auto bytes = ReadFile(Path("mlp.pt2"));
  ASSERT_TRUE(bytes.ok());
  int refused = 0;
  for (size_t i = 0; i < bytes->size(); i += 5) {
    std::string damaged = *bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    const auto file = ParseProgramFile(damaged);
    if (!file.ok() || !LayOut(*file, Source("image")).ok()) ++refused;
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace bif::engine
