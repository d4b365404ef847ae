// Programs of make_sampling_programs.py and make_language_models.py, loaded, and samples for them.
// For tests and benchmarks only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/tensor.h"
#include "src/engine/engine.h"
#include "src/engine/philox.h"

namespace bif::engine::testing {

// The path of <folder of programs>/name.
std::string ProgramPath(const std::string& name);

// Where tests and benchmarks compute: the environment's BIF_TEST_DEVICE, or "cpu".
std::string TestDevice();

// One engine for the process, on that device. The first call fixes its threads: one, so that tests
// that run side by side do not wait for each other's spinning OpenMP threads.
Engine& TestEngine(int threads = 1);

// Loads a program whose single input is bound to the column of the same name. Ends the process if
// that fails.
std::unique_ptr<Model> LoadTestModel(const std::string& name, const std::string& input,
                                     LossKind loss, std::vector<float> scale = {},
                                     std::vector<float> shift = {});

// A language model whose input and target are the column "tokens".
std::unique_ptr<Model> LoadLanguageModel(const std::string& name, const SequenceSpec& spec = {});

// Samples of different lengths: columns int32 "tokens" and, if there are masks, uint8 "mask".
SampleBatch TokenBatch(const std::vector<std::vector<int32_t>>& tokens,
                       const std::vector<std::vector<uint8_t>>& masks = {});

// `rows` random sequences of `shortest` to `longest` tokens; the same for the same arguments.
SampleBatch RandomSequences(int64_t rows, int64_t shortest, int64_t longest, int32_t vocabulary);

Column FloatColumn(const std::string& name, std::vector<int64_t> shape,
                   const std::vector<float>& values);
Column ByteColumn(const std::string& name, std::vector<int64_t> shape,
                  const std::vector<uint8_t>& values);
Column LabelColumn(const std::vector<int64_t>& labels);  // "label"

// `rows` images of random bytes and random labels; the same for the same arguments.
SampleBatch RandomImages(int64_t rows, std::vector<int64_t> shape, int64_t classes);

// The value, or the end of the process with the status.
template <typename T>
T ValueOrDie(absl::StatusOr<T> value);
void OkOrDie(const absl::Status& status);

template <typename T>
T ValueOrDie(absl::StatusOr<T> value) {
  OkOrDie(value.status());
  return *std::move(value);
}

}  // namespace bif::engine::testing
