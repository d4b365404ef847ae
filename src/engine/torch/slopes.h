// Derivatives of the losses of many rows along tangents: grad l_r(w) . v_q.
//
// kExact: forward-mode AD, one pass for all tangents. kDifferences: central differences of losses
// in double, two passes a tangent.
//
// LibTorch has one forward-mode level a process, so only the executor's thread may run these.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/recorded_values.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

class SlopesAlong {
 public:
  // `model` and `layout` must outlive the object.
  SlopesAlong(const LoadedProgram& model, const WeightLayout& layout, DerivativeMethod method)
      : model_(model), layout_(layout), method_(method) {}

  // weights: [row_elements], tangents: [queries, row_elements], both fp32. Rows [first, first +
  // count), plan.trace_batch_rows at a time; slopes[q * count + r]. Nothing but the order of
  // additions depends on what else is in a call. May throw c10::Error.
  absl::Status Rows(const at::Tensor& weights, const at::Tensor& tangents, const TorchRows& rows,
                    int64_t first, int64_t count, const ExecutionPlan& plan,
                    absl::Span<float> slopes);

  // [queries, rows of the call] in fp32. May throw c10::Error.
  absl::StatusOr<at::Tensor> Call(const at::Tensor& weights, const at::Tensor& tangents,
                                  const RecordedCall& call);

 private:
  absl::StatusOr<at::Tensor> Forward(const at::Tensor& weights, const at::Tensor& tangents,
                                     const RecordedCall& call, bool batched) const;
  absl::StatusOr<at::Tensor> Differences(const at::Tensor& weights, const at::Tensor& tangents,
                                         const RecordedCall& call) const;

  const LoadedProgram& model_;
  const WeightLayout& layout_;
  const DerivativeMethod method_;
  bool batching_works_ = true;
};

}  // namespace bif::engine
