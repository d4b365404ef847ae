// Observables of rows at given weights: the forward path of traces and queries.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/program.h"
#include "src/engine/torch/resident_rows.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// A program with its weights: what every evaluation shares. `anchor` is w*, in the order of
// info().parameters.
struct LoadedProgram {
  ProgramSource source;
  std::unique_ptr<Program> program;
  std::vector<at::Tensor> anchor;
  c10::Device device = c10::Device(c10::kCPU);
};

// The program's output for a batch of `rows` rows, in fp32 and checked against the batch's targets
// (CheckOutput). Passes are computed in `compute`.
absl::StatusOr<at::Tensor> CheckedOutput(const LoadedProgram& model,
                                         absl::Span<const at::Tensor> parameters,
                                         const DeviceBatch& batch, int64_t rows,
                                         ComputeType compute);

// Rows [first, first + count), plan.trace_batch_rows at a time, at each of several sets of
// parameters: a batch is converted once for all of them. `values` has room for ValueCount numbers
// of every set, one set's after the other.
absl::Status EvaluateRows(const LoadedProgram& model,
                          absl::Span<const absl::Span<const at::Tensor>> parameter_sets,
                          const TorchRows& rows, int64_t first, int64_t count,
                          const Observable& observable, const ExecutionPlan& plan,
                          absl::Span<float> values);

// How many numbers the observable gives for rows [first, first + count).
int64_t ValueCount(const TorchRows& rows, int64_t first, int64_t count,
                   const Observable& observable);

// Whether several draws should share a call for so few rows. It depends on nothing but its
// arguments, so a repeated evaluation rounds the same: at most 32 rows, at least two draws, and no
// moving convolution kernel (batched over weights, a convolution becomes a grouped one, which is
// slower than a loop). For sequences see BatchesDrawsOfSequences.
bool BatchesDraws(const WeightLayout& layout, const TorchRows& rows, int64_t first, int64_t count,
                  size_t draws);

// How many draws of so many weights are held at a time: what stays in the cache, at least one.
int64_t DrawsAtOnce(int64_t weights, c10::Device device);

// The same rows at w* + deltas[d], for all d, one draw's values after the other. A call for each
// draw, or batched calls.
absl::Status EvaluateDraws(const LoadedProgram& model, const WeightLayout& layout,
                           absl::Span<const absl::Span<const float>> deltas, const TorchRows& rows,
                           int64_t first, int64_t count, const Observable& observable,
                           const ExecutionPlan& plan, bool batched, absl::Span<float> values);

// Rows [0, count), at parameters that may be those of a chain: the mean loss, in double.
absl::StatusOr<double> MeanLoss(const LoadedProgram& model, absl::Span<const at::Tensor> parameters,
                                const TorchRows& rows, int64_t count, const ExecutionPlan& plan);

}  // namespace bif::engine
