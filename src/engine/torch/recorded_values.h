// Observables of one call's rows, made of operators that have derivatives of every order. (The
// kernels of losses.h and token_losses.h that sampling and tracing use have none.)
//
// Values are fp32, or double where the program's parameters are (Program::Run). Functions may throw
// c10::Error; callers stand in CatchTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"
#include "src/engine/torch/token_rows.h"

namespace bif::engine {

// Rows that are made ready once, for any number of passes.
struct RecordedCall {
  DeviceBatch batch;
  int64_t rows = 0;
  // Of sequences: the tokens that count, the row of this call that each belongs to, and what its
  // value is multiplied with in the row's.
  TokenTargets targets;
  at::Tensor token_rows;     // [n] int64
  at::Tensor token_weights;  // [n] fp32

  static RecordedCall Gather(const LoadedProgram& model, const TorchRows& rows,
                             absl::Span<const uint32_t> positions, const Observable& observable);
  // Rows [first, first + count).
  static RecordedCall Slice(const LoadedProgram& model, const TorchRows& rows, int64_t first,
                            int64_t count, const Observable& observable);
};

// [rows]. Gradients are recorded if they are asked for, tangents of dual parameters arrive in the
// values, and inside a Vmap parameters and inputs may be wrapped. The observable is one that
// Observe takes, but for kTokenLosses; `call` was made for it.
absl::StatusOr<at::Tensor> RecordedValues(const LoadedProgram& model,
                                          absl::Span<const at::Tensor> parameters,
                                          const RecordedCall& call, const Observable& observable);

// Batches of training rows as calls of a pass that keeps its graph: sequences are sorted by length
// and cut so that the logits of a call are at most 64 MiB (and at most plan.step_batch_rows rows,
// as in sampling); other rows are one call. The cut changes only rounding.
std::vector<RecordedCall> RecordedBatch(const LoadedProgram& model, const TorchRows& train,
                                        absl::Span<const uint32_t> positions,
                                        const ExecutionPlan& plan);

}  // namespace bif::engine
