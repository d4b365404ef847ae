#include "src/engine/torch/test_programs.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace bif::engine::testing {
namespace {

template <typename T>
Column MakeColumn(const std::string& name, DType dtype, std::vector<int64_t> shape,
                  const std::vector<T>& values) {
  Column column{{name, dtype, std::move(shape)}, std::vector<std::byte>(values.size() * sizeof(T))};
  std::memcpy(column.data.data(), values.data(), column.data.size());
  return column;
}

template <typename T>
Column RaggedColumn(const std::string& name, DType dtype, const std::vector<std::vector<T>>& rows) {
  Column column{{name, dtype, {-1}}, {}};
  for (const std::vector<T>& row : rows)
    column.Append({reinterpret_cast<const std::byte*>(row.data()), row.size() * sizeof(T)});
  return column;
}

}  // namespace

std::string ProgramPath(const std::string& name) {
  return absl::StrCat(BIF_TEST_PROGRAMS, "/", name);
}

void OkOrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

std::string TestDevice() {
  const char* const device = std::getenv("BIF_TEST_DEVICE");
  return device == nullptr ? "cpu" : device;
}

Engine& TestEngine(int threads) {
  static Engine& engine =
      *ValueOrDie(MakeTorchEngine({.device = TestDevice(), .threads = threads})).release();
  return engine;
}

std::unique_ptr<Model> LoadTestModel(const std::string& name, const std::string& input,
                                     LossKind loss, std::vector<float> scale,
                                     std::vector<float> shift) {
  ProgramSource source;
  source.path = ProgramPath(name + ".pt2");
  source.loss = loss;
  source.target_column = loss == LossKind::kCrossEntropy   ? "label"
                         : loss == LossKind::kSquaredError ? "target"
                                                           : "";
  source.inputs = {{input, input, std::move(scale), std::move(shift)}};
  return ValueOrDie(TestEngine().LoadModel(source, {}));
}

std::unique_ptr<Model> LoadLanguageModel(const std::string& name, const SequenceSpec& spec) {
  ProgramSource source;
  source.path = ProgramPath(name + ".pt2");
  source.loss = LossKind::kNextToken;
  source.target_column = "tokens";
  source.inputs = {{.input = "tokens", .column = "tokens"}};
  source.sequence = spec;
  return ValueOrDie(TestEngine().LoadModel(source, {}));
}

SampleBatch TokenBatch(const std::vector<std::vector<int32_t>>& tokens,
                       const std::vector<std::vector<uint8_t>>& masks) {
  SampleBatch batch;
  batch.rows = static_cast<int64_t>(tokens.size());
  batch.columns = {RaggedColumn("tokens", DType::kInt32, tokens)};
  if (!masks.empty()) batch.columns.push_back(RaggedColumn("mask", DType::kUint8, masks));
  return batch;
}

SampleBatch RandomSequences(int64_t rows, int64_t shortest, int64_t longest, int32_t vocabulary) {
  std::vector<std::vector<int32_t>> tokens(static_cast<size_t>(rows));
  for (size_t row = 0; row < tokens.size(); ++row) {
    const RandomBlocks random(99, static_cast<uint32_t>(row), 0, RandomStream::kBatchOrder);
    const auto choices = static_cast<uint32_t>(longest - shortest + 1);
    tokens[row].resize(static_cast<size_t>(shortest + random(0).c0 % choices));
    for (size_t p = 0; p < tokens[row].size(); ++p) {
      tokens[row][p] = static_cast<int32_t>(random(static_cast<uint32_t>(p)).c1 %
                                            static_cast<uint32_t>(vocabulary));
    }
  }
  return TokenBatch(tokens);
}

Column FloatColumn(const std::string& name, std::vector<int64_t> shape,
                   const std::vector<float>& values) {
  return MakeColumn(name, DType::kFloat32, std::move(shape), values);
}
Column ByteColumn(const std::string& name, std::vector<int64_t> shape,
                  const std::vector<uint8_t>& values) {
  return MakeColumn(name, DType::kUint8, std::move(shape), values);
}
Column LabelColumn(const std::vector<int64_t>& labels) {
  return MakeColumn("label", DType::kInt64, {}, labels);
}

SampleBatch RandomImages(int64_t rows, std::vector<int64_t> shape, int64_t classes) {
  int64_t elements = rows;
  for (int64_t dimension : shape) elements *= dimension;
  const RandomBlocks random(1234, 0, 0, RandomStream::kBatchOrder);
  std::vector<uint8_t> pixels(static_cast<size_t>(elements));
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<uint8_t>(random(static_cast<uint32_t>(i)).c0 >> 24);
  std::vector<int64_t> labels(static_cast<size_t>(rows));
  for (size_t i = 0; i < labels.size(); ++i)
    labels[i] = random(static_cast<uint32_t>(i)).c1 % classes;
  SampleBatch batch;
  batch.rows = rows;
  batch.columns = {ByteColumn("image", std::move(shape), pixels), LabelColumn(labels)};
  return batch;
}

}  // namespace bif::engine::testing
