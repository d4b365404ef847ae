#include "src/engine/torch/sequence_gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "src/base/status.h"
#include "src/engine/length_buckets.h"
#include "src/engine/torch/mixed_precision.h"
#include "src/engine/torch/token_losses.h"

namespace bif::engine {
namespace {

// The gradient in the leaves, from that in the head's parts.
std::vector<at::Tensor> Backward(const LinearHead& head, const TokenLossGradient& found,
                                 const std::vector<at::Tensor>& leaves) {
  std::vector<at::Tensor> outputs, gradients;
  for (const auto& [output, gradient] :
       {std::pair(&head.input, &found.input), std::pair(&head.weight, &found.weight),
        std::pair(&head.bias, &found.bias)}) {
    if (!gradient->defined()) continue;
    outputs.push_back(*output);
    gradients.push_back(*gradient);
  }
  if (outputs.empty()) return std::vector<at::Tensor>(leaves.size());
  return torch::autograd::grad(outputs, leaves, gradients, std::nullopt, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

}  // namespace

at::Tensor TokenWeights(const TokenTargets& targets, TokenReduction reduction, int64_t sequences) {
  std::vector<float> weights;
  for (const int64_t end : targets.ends) {
    const auto tokens = end - static_cast<int64_t>(weights.size());
    const int64_t divisor = reduction == TokenReduction::kMean ? sequences * tokens : sequences;
    weights.resize(static_cast<size_t>(end), 1.0f / static_cast<float>(divisor));
  }
  return at::tensor(weights, at::kFloat).to(targets.tokens.device());
}

absl::StatusOr<SequenceGradient> GradientOfSequences(const LoadedProgram& model,
                                                     absl::Span<const at::Tensor> parameters,
                                                     const std::vector<at::Tensor>& leaves,
                                                     const TorchRows& train,
                                                     absl::Span<const uint32_t> positions,
                                                     const ExecutionPlan& plan) {
  const auto length = [&](uint32_t row) { return train.token_losses(row); };
  const auto sequences = static_cast<int64_t>(positions.size());
  SequenceGradient sum;
  sum.gradients.resize(leaves.size());
  for (const auto& call : CutByLength(positions, length, plan.step_batch_rows, /*most_tokens=*/0)) {
    const TokenTargets targets = train.tokens()->Targets(call, {});
    const at::Tensor weights = TokenWeights(targets, model.source.sequence.reduction, sequences);
    const at::AutoGradMode record(true);
    BIF_ASSIGN_OR_RETURN(const LinearHead head, [&] {
      const MixedPrecision precision(plan.compute, model.device);
      return model.program->RunToHead(parameters, train.Gather(call).inputs);
    }());
    const TokenLossGradient found = GradientOfTokenLosses(head, targets, weights, plan.compute);
    const std::vector<at::Tensor> gradients = Backward(head, found, leaves);
    const at::NoGradGuard no_grad;
    sum.loss += at::dot(found.losses.to(at::kDouble), weights.to(at::kDouble)).item<double>();
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (!gradients[i].defined()) continue;
      if (sum.gradients[i].defined()) {
        sum.gradients[i].add_(gradients[i]);
      } else {
        sum.gradients[i] = gradients[i];
      }
    }
  }
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!sum.gradients[i].defined()) sum.gradients[i] = at::zeros_like(leaves[i]);
  }
  return sum;
}

}  // namespace bif::engine
