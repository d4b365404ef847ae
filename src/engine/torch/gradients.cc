#include "src/engine/torch/gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <numeric>

#include "src/base/status.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/sequence_gradients.h"
#include "src/engine/torch/token_losses.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

// What a backward pass starts from.
struct Root {
  at::Tensor value;     // a number, or the program's output
  at::Tensor gradient;  // in `value`; undefined: 1
  at::Tensor losses;    // [chains], or [rows] of the only chain
};

absl::StatusOr<Root> RootOfOneChain(const LoadedProgram& model,
                                    absl::Span<const at::Tensor> parameters,
                                    const DeviceBatch& batch, int64_t rows, ComputeType compute) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor output,
                       CheckedOutput(model, parameters, batch, rows, compute));
  if (HasKernel(model.source.loss, output)) {
    const LossesAndGradient found = CrossEntropyOf(output, batch.target, /*with_gradient=*/true);
    return Root{output, found.gradient, found.losses};
  }
  const at::Tensor loss = BatchLoss(model.source.loss, output, batch.target, /*batched=*/false);
  return Root{loss, {}, loss};
}

// The mean loss of uniform sequences inside a Vmap over chains. `positions` are those of all
// chains.
absl::StatusOr<at::Tensor> MeanSequenceLoss(const LoadedProgram& model,
                                            absl::Span<const at::Tensor> parameters,
                                            const DeviceBatch& batch, const TokenRows& tokens,
                                            absl::Span<const uint32_t> positions, int64_t rows,
                                            const Vmap& vmap) {
  std::vector<at::Tensor> places, targets;
  for (; !positions.empty(); positions.remove_prefix(static_cast<size_t>(rows))) {
    TokenTargets of_chain = tokens.Targets(positions.first(static_cast<size_t>(rows)), {});
    places.push_back(std::move(of_chain.places));
    targets.push_back(std::move(of_chain.tokens));
  }
  TokenTargets all;
  all.places = vmap.Wrap(at::stack(places));
  all.tokens = vmap.Wrap(at::stack(targets));
  BIF_ASSIGN_OR_RETURN(const LinearHead head, model.program->RunToHead(parameters, batch.inputs));
  const at::Tensor losses = TokenValues(head, all, {}, ComputeType::kFp32);
  if (model.source.sequence.reduction == TokenReduction::kMean) return losses.mean();
  return losses.sum() / rows;
}

// [chains * rows, ...] as [chains, rows, ...].
at::Tensor ByChain(const at::Tensor& tensor, int64_t chains) {
  return tensor.unflatten(0, {chains, tensor.size(0) / chains});
}

// The mean losses of all chains, [chains], in one call.
absl::StatusOr<at::Tensor> BatchedLosses(const LoadedProgram& model, const WeightLayout& layout,
                                         const std::vector<at::Tensor>& leaves,
                                         const DeviceBatch& all, int64_t chains, int64_t rows,
                                         const TokenRows* tokens,
                                         absl::Span<const uint32_t> positions) {
  const Vmap vmap(chains);
  std::vector<at::Tensor> parameters(model.anchor);
  for (size_t r = 0; r < leaves.size(); ++r)
    parameters[layout.ranges[r].parameter] = vmap.Wrap(leaves[r]);
  DeviceBatch batch;
  for (const at::Tensor& input : all.inputs)
    batch.inputs.push_back(vmap.Wrap(ByChain(input, chains)));
  if (all.target.defined()) batch.target = vmap.Wrap(ByChain(all.target, chains));
  if (tokens != nullptr) {
    BIF_ASSIGN_OR_RETURN(const at::Tensor loss, MeanSequenceLoss(model, parameters, batch, *tokens,
                                                                 positions, rows, vmap));
    return vmap.Unwrap(loss);
  }
  BIF_ASSIGN_OR_RETURN(const at::Tensor output,
                       CheckedOutput(model, parameters, batch, rows, ComputeType::kFp32));
  return vmap.Unwrap(BatchLoss(model.source.loss, output, batch.target, /*batched=*/true));
}

// The gradient of the sum over chains holds each chain's own gradient.
absl::StatusOr<Root> RootOfAllChains(const LoadedProgram& model, const WeightLayout& layout,
                                     const std::vector<at::Tensor>& leaves, const DeviceBatch& all,
                                     int64_t chains, int64_t rows, const TokenRows* tokens,
                                     absl::Span<const uint32_t> positions) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor losses,
                       BatchedLosses(model, layout, leaves, all, chains, rows, tokens, positions));
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
                               const at::Tensor& weights, const ExecutionPlan& plan)
    : model_(model), layout_(layout), plan_(plan), chains_(weights.size(0)) {
  const at::Tensor rows = chains_ == 1 ? weights[0] : weights;
  for (const WeightRange& range : layout.ranges) {
    leaves_.push_back(layout.View(rows, range).detach().set_requires_grad(true));
  }
}

std::vector<at::Tensor> GradientSource::Parameters() const {
  std::vector<at::Tensor> parameters(model_.anchor);
  for (size_t r = 0; r < leaves_.size(); ++r) parameters[layout_.ranges[r].parameter] = leaves_[r];
  return parameters;
}

absl::StatusOr<BatchGradients> GradientSource::OfSequences(
    const TorchRows& train, absl::Span<const uint32_t> positions) const {
  BIF_ASSIGN_OR_RETURN(const SequenceGradient found,
                       GradientOfSequences(model_, Parameters(), leaves_, train, positions, plan_));
  BatchGradients result;
  result.losses = {found.loss};
  for (size_t r = 0; r < leaves_.size(); ++r) {
    result.gradients.push_back(
        found.gradients[r].reshape({1, layout_.ranges[r].elements}).contiguous());
  }
  return result;
}

absl::StatusOr<BatchGradients> GradientSource::At(const TorchRows& train,
                                                  absl::Span<const uint32_t> positions) const {
  if (train.tokens() != nullptr && chains_ == 1) return OfSequences(train, positions);
  const auto rows = static_cast<int64_t>(positions.size()) / chains_;
  const DeviceBatch batch = [&] {
    const at::NoGradGuard no_grad;
    return train.Gather(positions);
  }();
  const at::AutoGradMode record(true);
  BIF_ASSIGN_OR_RETURN(const Root root,
                       chains_ == 1
                           ? RootOfOneChain(model_, Parameters(), batch, rows, plan_.compute)
                           : RootOfAllChains(model_, layout_, leaves_, batch, chains_, rows,
                                             train.tokens(), positions));
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
