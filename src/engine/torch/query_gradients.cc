#include "src/engine/torch/query_gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/leaves.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {

QueryGradients::QueryGradients(const LoadedProgram& model, const WeightLayout& layout,
                               const TorchRows& queries, const Observable& observable)
    : model_(model),
      layout_(layout),
      observable_(observable),
      batched_(queries.tokens() == nullptr &&
               BatchesDraws(layout, queries, 0, 1, static_cast<size_t>(queries.rows()))) {
  for (int64_t q = 0; q < queries.rows(); ++q)
    calls_.push_back(RecordedCall::Slice(model, queries, q, 1, observable));
}

absl::StatusOr<at::Tensor> QueryGradients::At(const at::Tensor& weights) {
  if (batched_) {
    const absl::StatusOr<at::Tensor> found =
        CatchTorch("batched gradients", [&] { return Batched(weights); });
    if (found.ok()) return found;
    batched_ = false;  // an operator without a batching rule: the same every time
  }
  return OneByOne(weights);
}

absl::StatusOr<at::Tensor> QueryGradients::OneByOne(const at::Tensor& weights) const {
  const auto queries = static_cast<int64_t>(calls_.size());
  const at::Tensor gradients = at::zeros({queries, layout_.row_elements}, weights.options());
  const std::vector<at::Tensor> leaves = Leaves(layout_, weights);
  for (int64_t q = 0; q < queries; ++q) {
    const at::AutoGradMode record(true);
    BIF_ASSIGN_OR_RETURN(const at::Tensor value,
                         RecordedValues(model_, WithLeaves(layout_, model_.anchor, leaves),
                                        calls_[static_cast<size_t>(q)], observable_));
    if (!value.requires_grad()) continue;
    const std::vector<at::Tensor> found =
        torch::autograd::grad({value.sum()}, leaves, {}, std::nullopt, /*create_graph=*/false,
                              /*allow_unused=*/true);
    const at::NoGradGuard no_grad;
    AddParts(layout_, found, gradients[q]);
  }
  return gradients;
}

absl::StatusOr<at::Tensor> QueryGradients::Batched(const at::Tensor& weights) const {
  const auto queries = static_cast<int64_t>(calls_.size());
  const at::Tensor gradients = at::zeros({queries, layout_.row_elements}, weights.options());
  // Leaves of their own for every query, though all lie on the same weights.
  const std::vector<at::Tensor> leaves =
      Leaves(layout_, weights.unsqueeze(0).expand({queries, layout_.row_elements}));
  const at::AutoGradMode record(true);
  at::Tensor values;
  {
    const Vmap vmap(queries);
    std::vector<at::Tensor> parameters(model_.anchor);
    for (size_t r = 0; r < leaves.size(); ++r)
      parameters[layout_.ranges[r].parameter] = vmap.Wrap(leaves[r]);
    RecordedCall call;
    call.rows = 1;
    const auto wrapped = [&](const auto& tensor_of) {
      std::vector<at::Tensor> each;
      for (const RecordedCall& one : calls_) each.push_back(tensor_of(one.batch));
      return vmap.Wrap(at::stack(each));
    };
    for (size_t i = 0; i < calls_[0].batch.inputs.size(); ++i)
      call.batch.inputs.push_back(wrapped([&](const DeviceBatch& b) { return b.inputs[i]; }));
    if (calls_[0].batch.target.defined())
      call.batch.target = wrapped([](const DeviceBatch& b) { return b.target; });
    BIF_ASSIGN_OR_RETURN(const at::Tensor found,
                         RecordedValues(model_, parameters, call, observable_));
    values = vmap.Unwrap(found);
  }
  if (!values.requires_grad()) return gradients;
  const std::vector<at::Tensor> found =
      torch::autograd::grad({values.sum()}, leaves, {}, std::nullopt, /*create_graph=*/false,
                            /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  AddParts(layout_, found, gradients);
  return gradients;
}

}  // namespace bif::engine
