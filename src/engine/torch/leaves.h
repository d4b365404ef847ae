// The moving weights as what gradients are asked for, and gradients as rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// Views of `rows` (see WeightLayout::View) that require gradients, one a moving range.
std::vector<at::Tensor> Leaves(const WeightLayout& layout, const at::Tensor& rows);

// The program's parameters with the leaves among them.
std::vector<at::Tensor> WithLeaves(const WeightLayout& layout, std::vector<at::Tensor> parameters,
                                   const std::vector<at::Tensor>& leaves);

// rows += parts, one a moving range; undefined ones are zero.
void AddParts(const WeightLayout& layout, const std::vector<at::Tensor>& parts,
              const at::Tensor& rows);

}  // namespace bif::engine
