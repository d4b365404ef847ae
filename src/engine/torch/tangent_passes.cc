#include "src/engine/torch/tangent_passes.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "src/base/status.h"

namespace bif::engine {
namespace {

double Norm(const at::Tensor& row) {
  return at::linalg_vector_norm(row, 2, std::nullopt, false, at::kDouble).item<double>();
}

}  // namespace

absl::Status CentralDifferences(const LoadedProgram& model, const at::Tensor& weights,
                                const at::Tensor& tangents,
                                absl::FunctionRef<absl::StatusOr<at::Tensor>(
                                    const std::vector<at::Tensor>& anchor, const at::Tensor& row)>
                                    value,
                                const at::Tensor& derivatives) {
  std::vector<at::Tensor> anchor;
  for (const at::Tensor& parameter : model.anchor) anchor.push_back(parameter.to(at::kDouble));
  const at::Tensor center = weights.to(at::kDouble);
  const double way = 1e-9 * std::max(1.0, Norm(weights));
  for (int64_t q = 0; q < tangents.size(0); ++q) {
    const double along = Norm(tangents[q]);
    if (!(along > 0)) continue;
    const double step = way / along;
    const at::Tensor shift = tangents[q].to(at::kDouble) * step;
    BIF_ASSIGN_OR_RETURN(const at::Tensor above, value(anchor, center + shift));
    BIF_ASSIGN_OR_RETURN(const at::Tensor below, value(anchor, center - shift));
    derivatives[q].copy_((above - below) / (2 * step));
  }
  return absl::OkStatus();
}

}  // namespace bif::engine
