#include "src/engine/torch/gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "src/base/status.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

absl::StatusOr<at::Tensor> MeanBatchLoss(const LoadedProgram& model,
                                         absl::Span<const at::Tensor> parameters,
                                         const DeviceBatch& batch, int64_t rows, bool batched) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor output, model.program->Run(parameters, batch.inputs));
  BIF_RETURN_IF_ERROR(CheckOutput(model.source.loss, output, batch.target, rows));
  return BatchLoss(model.source.loss, output, batch.target, batched);
}

// [chains * rows, ...] as [chains, rows, ...].
at::Tensor ByChain(const at::Tensor& tensor, int64_t chains) {
  return tensor.unflatten(0, {chains, tensor.size(0) / chains});
}

// The mean losses of all chains, [chains], in one call.
absl::StatusOr<at::Tensor> BatchedLosses(const LoadedProgram& model, const WeightLayout& layout,
                                         const std::vector<at::Tensor>& leaves,
                                         const DeviceBatch& all, int64_t chains, int64_t rows) {
  const Vmap vmap(chains);
  std::vector<at::Tensor> parameters(model.anchor);
  for (size_t r = 0; r < leaves.size(); ++r)
    parameters[layout.ranges[r].parameter] = vmap.Wrap(leaves[r]);
  DeviceBatch batch;
  for (const at::Tensor& input : all.inputs)
    batch.inputs.push_back(vmap.Wrap(ByChain(input, chains)));
  if (all.target.defined()) batch.target = vmap.Wrap(ByChain(all.target, chains));
  BIF_ASSIGN_OR_RETURN(const at::Tensor loss, MeanBatchLoss(model, parameters, batch, rows, true));
  return vmap.Unwrap(loss);
}

}  // namespace

GradientSource::GradientSource(const LoadedProgram& model, const WeightLayout& layout,
                               const at::Tensor& weights)
    : model_(model), layout_(layout), chains_(weights.size(0)) {
  const at::Tensor rows = chains_ == 1 ? weights[0] : weights;
  for (const WeightRange& range : layout.ranges) {
    leaves_.push_back(layout.View(rows, range).detach().set_requires_grad(true));
  }
}

absl::StatusOr<BatchGradients> GradientSource::At(const TorchRows& train,
                                                  absl::Span<const uint32_t> positions) const {
  const auto rows = static_cast<int64_t>(positions.size()) / chains_;
  const DeviceBatch batch = [&] {
    const at::NoGradGuard no_grad;
    return train.Gather(positions);
  }();
  const at::AutoGradMode record(true);
  at::Tensor losses;
  if (chains_ == 1) {
    std::vector<at::Tensor> parameters(model_.anchor);
    for (size_t r = 0; r < leaves_.size(); ++r)
      parameters[layout_.ranges[r].parameter] = leaves_[r];
    BIF_ASSIGN_OR_RETURN(losses, MeanBatchLoss(model_, parameters, batch, rows, false));
  } else {
    BIF_ASSIGN_OR_RETURN(losses, BatchedLosses(model_, layout_, leaves_, batch, chains_, rows));
  }
  // The gradient of the sum over chains holds each chain's own gradient.
  const std::vector<at::Tensor> found =
      torch::autograd::grad({chains_ == 1 ? losses : losses.sum()}, leaves_, {}, std::nullopt,
                            /*create_graph=*/false, /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  BatchGradients result;
  if (chains_ == 1) {
    result.losses = {losses.item<double>()};
  } else {
    const at::Tensor host = losses.detach().to(at::kCPU, at::kDouble).contiguous();
    result.losses.assign(host.const_data_ptr<double>(), host.const_data_ptr<double>() + chains_);
  }
  for (size_t r = 0; r < found.size(); ++r) {
    const at::Tensor gradient = found[r].defined() ? found[r] : at::zeros_like(leaves_[r]);
    result.gradients.push_back(
        gradient.reshape({chains_, layout_.ranges[r].elements}).contiguous());
  }
  return result;
}

}  // namespace bif::engine
