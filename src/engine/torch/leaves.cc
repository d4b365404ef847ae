#include "src/engine/torch/leaves.h"

#include <ATen/ATen.h>

namespace bif::engine {

std::vector<at::Tensor> Leaves(const WeightLayout& layout, const at::Tensor& rows) {
  std::vector<at::Tensor> leaves;
  for (const WeightRange& range : layout.ranges)
    leaves.push_back(layout.View(rows, range).detach().set_requires_grad(true));
  return leaves;
}

std::vector<at::Tensor> WithLeaves(const WeightLayout& layout, std::vector<at::Tensor> parameters,
                                   const std::vector<at::Tensor>& leaves) {
  for (size_t r = 0; r < leaves.size(); ++r) parameters[layout.ranges[r].parameter] = leaves[r];
  return parameters;
}

void AddParts(const WeightLayout& layout, const std::vector<at::Tensor>& parts,
              const at::Tensor& rows) {
  for (size_t r = 0; r < parts.size(); ++r) {
    if (parts[r].defined()) layout.View(rows, layout.ranges[r]).add_(parts[r]);
  }
}

}  // namespace bif::engine
