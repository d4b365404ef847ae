#include "src/engine/torch/hessian_products.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/leaves.h"
#include "src/engine/torch/tangent_passes.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

int64_t RowsOf(absl::Span<const RecordedCall> calls) {
  int64_t rows = 0;
  for (const RecordedCall& call : calls) rows += call.rows;
  return rows;
}

// What a second backward pass starts from.
struct FirstPass {
  std::vector<at::Tensor> gradients;  // those that depend on the leaves at all
  std::vector<size_t> ranges;         // whose they are
};

absl::StatusOr<FirstPass> GradientWithGraph(const LoadedProgram& model, const WeightLayout& layout,
                                            const std::vector<at::Tensor>& leaves,
                                            const RecordedCall& call, int64_t rows) {
  const at::AutoGradMode record(true);
  BIF_ASSIGN_OR_RETURN(
      const at::Tensor losses,
      RecordedValues(model, WithLeaves(layout, model.anchor, leaves), call, Observable{}));
  FirstPass pass;
  if (!losses.requires_grad()) return pass;
  const std::vector<at::Tensor> found =
      torch::autograd::grad({losses.sum() / rows}, leaves, {}, std::nullopt, /*create_graph=*/true,
                            /*allow_unused=*/true);
  for (size_t r = 0; r < found.size(); ++r) {
    if (!found[r].defined() || !found[r].requires_grad()) continue;
    pass.gradients.push_back(found[r]);
    pass.ranges.push_back(r);
  }
  return pass;
}

std::vector<at::Tensor> SecondPass(const FirstPass& pass, const std::vector<at::Tensor>& leaves,
                                   const std::vector<at::Tensor>& directions, bool keep) {
  return torch::autograd::grad(pass.gradients, leaves, directions, keep, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

}  // namespace

absl::StatusOr<at::Tensor> HessianProducts::At(const at::Tensor& weights,
                                               const at::Tensor& tangents,
                                               absl::Span<const RecordedCall> calls) {
  if (method_ == DerivativeMethod::kDifferences) return Differences(weights, tangents, calls);
  if (batching_works_ && tangents.size(0) > 1) {
    const absl::StatusOr<at::Tensor> found =
        CatchTorch("a batched second pass", [&] { return Exact(weights, tangents, calls, true); });
    if (found.ok()) return found;
    batching_works_ = false;  // an operator without a batching rule: the same every time
  }
  return Exact(weights, tangents, calls, false);
}

absl::StatusOr<at::Tensor> HessianProducts::Exact(const at::Tensor& weights,
                                                  const at::Tensor& tangents,
                                                  absl::Span<const RecordedCall> calls,
                                                  bool batched) const {
  const at::Tensor products = at::zeros_like(tangents);
  const std::vector<at::Tensor> leaves = Leaves(layout_, weights);
  const int64_t queries = tangents.size(0), rows = RowsOf(calls);
  const int64_t at_once = batched ? kTangentsAtOnce : 1;
  for (const RecordedCall& call : calls) {
    BIF_ASSIGN_OR_RETURN(const FirstPass pass,
                         GradientWithGraph(model_, layout_, leaves, call, rows));
    if (pass.gradients.empty()) continue;  // losses are linear in the weights
    for (int64_t first = 0; first < queries; first += at_once) {
      const int64_t count = std::min(at_once, queries - first);
      const bool keep = first + count < queries;
      const at::Tensor part = tangents.narrow(0, first, count);
      std::vector<at::Tensor> directions, found;
      if (batched) {
        const Vmap vmap(count);
        for (const size_t r : pass.ranges)
          directions.push_back(vmap.Wrap(layout_.View(part, layout_.ranges[r])));
        for (const at::Tensor& product : SecondPass(pass, leaves, directions, keep))
          found.push_back(product.defined() ? vmap.Unwrap(product) : product);
      } else {
        for (const size_t r : pass.ranges)
          directions.push_back(layout_.View(part[0], layout_.ranges[r]));
        found = SecondPass(pass, leaves, directions, keep);
      }
      const at::NoGradGuard no_grad;
      const at::Tensor to = products.narrow(0, first, count);
      AddParts(layout_, found, batched ? to : to[0]);
    }
  }
  return products;
}

absl::StatusOr<at::Tensor> HessianProducts::Differences(
    const at::Tensor& weights, const at::Tensor& tangents,
    absl::Span<const RecordedCall> calls) const {
  const int64_t rows = RowsOf(calls);
  const auto gradient_at = [&](const std::vector<at::Tensor>& anchor,
                               const at::Tensor& row) -> absl::StatusOr<at::Tensor> {
    const at::Tensor sum = at::zeros_like(row);
    const std::vector<at::Tensor> leaves = Leaves(layout_, row);
    for (const RecordedCall& call : calls) {
      const at::AutoGradMode record(true);
      BIF_ASSIGN_OR_RETURN(
          const at::Tensor losses,
          RecordedValues(model_, WithLeaves(layout_, anchor, leaves), call, Observable{}));
      if (!losses.requires_grad()) continue;
      const std::vector<at::Tensor> found =
          torch::autograd::grad({losses.sum() / rows}, leaves, {}, std::nullopt,
                                /*create_graph=*/false, /*allow_unused=*/true);
      const at::NoGradGuard no_grad;
      AddParts(layout_, found, sum);
    }
    return sum;
  };
  const at::Tensor products = at::zeros_like(tangents);
  BIF_RETURN_IF_ERROR(CentralDifferences(model_, weights, tangents, gradient_at, products));
  return products;
}

}  // namespace bif::engine
