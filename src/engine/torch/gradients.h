// The mean batch loss and its gradient for one chain, or for several in one batched call.
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
  GradientSource(const LoadedProgram& model, const WeightLayout& layout, const at::Tensor& weights);

  int64_t chains() const { return chains_; }

  // `positions`: the rows of every chain's batch, one chain after the other; all batches have one
  // length.
  absl::StatusOr<BatchGradients> At(const TorchRows& train,
                                    absl::Span<const uint32_t> positions) const;

 private:
  const LoadedProgram& model_;
  const WeightLayout& layout_;
  int64_t chains_;
  std::vector<at::Tensor>
      leaves_;  // one a moving range: shape, or [chains, *shape]; they require gradients
};

}  // namespace bif::engine
