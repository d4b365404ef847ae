// The gradients of queries' observables, which drive the tangents of a chain.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/recorded_values.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// Thread-compatible. Few queries share a batched call, by the rule of BatchesDraws; sequences,
// which differ in length, are taken one by one.
class QueryGradients {
 public:
  // `model` and `layout` must outlive the object; rows are copied. An observable that Observe takes
  // for `queries`, but for kTokenLosses. May throw c10::Error.
  QueryGradients(const LoadedProgram& model, const WeightLayout& layout, const TorchRows& queries,
                 const Observable& observable);

  // [queries, row_elements] in fp32: grad phi_q(w) at `weights`, [row_elements]; padding is zero.
  // May throw c10::Error.
  absl::StatusOr<at::Tensor> At(const at::Tensor& weights);

 private:
  absl::StatusOr<at::Tensor> OneByOne(const at::Tensor& weights) const;
  absl::StatusOr<at::Tensor> Batched(const at::Tensor& weights) const;

  const LoadedProgram& model_;
  const WeightLayout& layout_;
  const Observable observable_;
  bool batched_;
  std::vector<RecordedCall> calls_;  // one a query
};

}  // namespace bif::engine
