// The gradient of the mean loss of some sequences, call by call.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

struct SequenceGradient {
  double loss = 0;                    // the mean of the sequences' losses
  std::vector<at::Tensor> gradients;  // one a leaf, of its shape
};

// `parameters` are the program's, some of them `leaves` that require gradients. The rows at
// `positions` are sorted by length and taken plan.step_batch_rows at a time (0: all at once); the
// cut changes only rounding.
absl::StatusOr<SequenceGradient> GradientOfSequences(const LoadedProgram& model,
                                                     absl::Span<const at::Tensor> parameters,
                                                     const std::vector<at::Tensor>& leaves,
                                                     const TorchRows& train,
                                                     absl::Span<const uint32_t> positions,
                                                     const ExecutionPlan& plan);

// [n] for n targets: what each one's loss is multiplied with in the mean over `sequences` of their
// losses.
at::Tensor TokenWeights(const TokenTargets& targets, TokenReduction reduction, int64_t sequences);

}  // namespace bif::engine
