// Products of the Hessian of a batch's mean loss with several tangents:
//   H_B(w) v_q = d/dh grad L_B(w + h v_q) at h = 0.
//
// kExact: a backward pass that keeps its graph, and a second one for each tangent through it
// (Pearlmutter 1994, Fast exact multiplication by the Hessian). Several tangents share one batched
// second pass where that works.
// kDifferences: central differences of gradients in double; of fp32 gradients they would be noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/recorded_values.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// Thread-compatible. `model` and `layout` must outlive the object.
class HessianProducts {
 public:
  HessianProducts(const LoadedProgram& model, const WeightLayout& layout, DerivativeMethod method)
      : model_(model), layout_(layout), method_(method) {}

  // weights: [row_elements], tangents: [queries, row_elements], both fp32. The mean loss is that of
  // all rows of `calls`. [queries, row_elements] in fp32; padding is zero. May throw c10::Error.
  absl::StatusOr<at::Tensor> At(const at::Tensor& weights, const at::Tensor& tangents,
                                absl::Span<const RecordedCall> calls);

 private:
  absl::StatusOr<at::Tensor> Exact(const at::Tensor& weights, const at::Tensor& tangents,
                                   absl::Span<const RecordedCall> calls, bool batched) const;
  absl::StatusOr<at::Tensor> Differences(const at::Tensor& weights, const at::Tensor& tangents,
                                         absl::Span<const RecordedCall> calls) const;

  const LoadedProgram& model_;
  const WeightLayout& layout_;
  const DerivativeMethod method_;
  bool batching_works_ = true;
};

}  // namespace bif::engine
