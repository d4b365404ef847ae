#include "src/engine/torch/gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>

#include "src/base/status.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

// What a backward pass starts from.
struct Root {
  at::Tensor value;     // a number, or the program's output
  at::Tensor gradient;  // in `value`; undefined: 1
  at::Tensor losses;    // [chains], or [rows] of the only chain
};

absl::StatusOr<at::Tensor> Output(const LoadedProgram& model,
                                  absl::Span<const at::Tensor> parameters, const DeviceBatch& batch,
                                  int64_t rows) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor output, model.program->Run(parameters, batch.inputs));
  BIF_RETURN_IF_ERROR(CheckOutput(model.source.loss, output, batch.target, rows));
  return output;
}

absl::StatusOr<Root> RootOfOneChain(const LoadedProgram& model, const WeightLayout& layout,
                                    const std::vector<at::Tensor>& leaves, const DeviceBatch& batch,
                                    int64_t rows) {
  std::vector<at::Tensor> parameters(model.anchor);
  for (size_t r = 0; r < leaves.size(); ++r) parameters[layout.ranges[r].parameter] = leaves[r];
  BIF_ASSIGN_OR_RETURN(const at::Tensor output, Output(model, parameters, batch, rows));
  if (HasKernel(model.source.loss, output)) {
    const LossesAndGradient found = CrossEntropyOf(output, batch.target, /*with_gradient=*/true);
    return Root{output, found.gradient, found.losses};
  }
  const at::Tensor loss = BatchLoss(model.source.loss, output, batch.target, /*batched=*/false);
  return Root{loss, {}, loss};
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
  BIF_ASSIGN_OR_RETURN(const at::Tensor output, Output(model, parameters, batch, rows));
  return vmap.Unwrap(BatchLoss(model.source.loss, output, batch.target, /*batched=*/true));
}

// The gradient of the sum over chains holds each chain's own gradient.
absl::StatusOr<Root> RootOfAllChains(const LoadedProgram& model, const WeightLayout& layout,
                                     const std::vector<at::Tensor>& leaves, const DeviceBatch& all,
                                     int64_t chains, int64_t rows) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor losses,
                       BatchedLosses(model, layout, leaves, all, chains, rows));
  return Root{losses.sum(), {}, losses};
}

// The mean loss of each chain. `losses` has as many of every chain.
std::vector<double> Means(const at::Tensor& losses, int64_t chains) {
  const at::Tensor host = losses.to(at::kCPU, at::kFloat).contiguous();
  const int64_t each = host.numel() / chains;
  std::vector<double> means;
  for (int64_t chain = 0; chain < chains; ++chain) {
    const float* first = host.const_data_ptr<float>() + chain * each;
    means.push_back(std::accumulate(first, first + each, 0.0) / static_cast<double>(each));
  }
  return means;
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
  BIF_ASSIGN_OR_RETURN(const Root root,
                       chains_ == 1
                           ? RootOfOneChain(model_, layout_, leaves_, batch, rows)
                           : RootOfAllChains(model_, layout_, leaves_, batch, chains_, rows));
  const std::vector<at::Tensor> found =
      torch::autograd::grad({root.value}, leaves_, {root.gradient}, std::nullopt,
                            /*create_graph=*/false, /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  BatchGradients result;
  result.losses = Means(root.losses, chains_);
  for (size_t r = 0; r < found.size(); ++r) {
    const at::Tensor gradient = found[r].defined() ? found[r] : at::zeros_like(leaves_[r]);
    result.gradients.push_back(
        gradient.reshape({chains_, layout_.ranges[r].elements}).contiguous());
  }
  return result;
}

}  // namespace bif::engine
