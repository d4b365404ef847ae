// What Hessian products and slopes share: how many tangents one pass takes, and derivatives along
// them by central differences in double, where an operator has no other.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/engine/torch/evaluate.h"

namespace bif::engine {

// Tangents in one batched pass: each holds a set of activations of its own.
inline constexpr int64_t kTangentsAtOnce = 8;

// derivatives[q] = d/dh value(w + h v_q) at h = 0. weights: [row_elements], tangents: [queries,
// row_elements], both fp32; derivatives: [queries, ...], zeros. `value` gets w* and a row of
// weights in double. Where v is 0 nothing is computed. May throw c10::Error.
//
// w is moved by 1e-9 of its norm (at least of 1). Rounding leaves an error of 1e-16 / 1e-9, which
// fp32 would not resolve either; and a piecewise linear network has next to no unit that changes
// its side within so little, where its gradient jumps and a difference would be off by the jump
// over the step.
absl::Status CentralDifferences(const LoadedProgram& model, const at::Tensor& weights,
                                const at::Tensor& tangents,
                                absl::FunctionRef<absl::StatusOr<at::Tensor>(
                                    const std::vector<at::Tensor>& anchor, const at::Tensor& row)>
                                    value,
                                const at::Tensor& derivatives);

}  // namespace bif::engine
