// The mean batch loss and its gradient for one chain, or for several in one batched call.
//
// One chain's sequences are sorted by length and taken plan.step_batch_rows at a time. The sum over
// these calls is the gradient of the whole batch's mean loss, whatever the cut.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/torch/evaluate.h"

namespace bif::engine {

struct BatchGradients {
  std::vector<double> losses;         // mean loss of each chain's batch
  std::vector<at::Tensor> gradients;  // one a moving range, [chains, elements], contiguous
};

// Gradients of `chains` chains whose weights lie in one tensor; the tensor's storage may change
// between calls, so the views are made once. Only moving parameters get a gradient.
class GradientSource {
 public:
  // weights: [chains, row_elements]. With more than one chain the calls are batched.
  GradientSource(const LoadedProgram& model, const WeightLayout& layout, const at::Tensor& weights,
                 const ExecutionPlan& plan);

  int64_t chains() const { return chains_; }

  // `positions`: the rows of every chain's batch, one chain after the other; all batches have one
  // length. Several chains' sequences must be uniform (TokenRows::uniform).
  absl::StatusOr<BatchGradients> At(const TorchRows& train,
                                    absl::Span<const uint32_t> positions) const;

 private:
  std::vector<at::Tensor> Parameters() const;  // of one chain
  absl::StatusOr<BatchGradients> OfSequences(const TorchRows& train,
                                             absl::Span<const uint32_t> positions) const;

  const LoadedProgram& model_;
  const WeightLayout& layout_;
  ExecutionPlan plan_;
  int64_t chains_;
  std::vector<at::Tensor>
      leaves_;  // one a moving range: shape, or [chains, *shape]; they require gradients
};

}  // namespace bif::engine
