#include "src/engine/torch/token_losses.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "src/engine/torch/losses.h"

namespace bif::engine {
namespace {

// Logits that are held at once: they should stay in the cache, but a matrix product over fewer
// than kLeastTokens rows would read all of a large head's weights for little work.
constexpr int64_t kLogitBytes = int64_t{4} << 20;
constexpr int64_t kDeviceLogitBytes = int64_t{256} << 20;  // a GPU wants large products instead
constexpr int64_t kLeastTokens = 128;

int64_t VocabularyOf(const LinearHead& head) {
  return head.weight.defined() ? head.weight.size(0) : head.input.size(-1);
}

int64_t TokensAtOnce(const LinearHead& head) {
  const int64_t row_bytes = VocabularyOf(head) * static_cast<int64_t>(sizeof(float));
  return std::max(kLeastTokens,
                  (head.input.is_cpu() ? kLogitBytes : kDeviceLogitBytes) / row_bytes);
}

at::ScalarType TypeOf(ComputeType compute) {
  return compute == ComputeType::kBf16 ? at::kBFloat16 : at::kFloat;
}

// The head with the hidden states (or logits) that predict the targets, [n, width], in the type
// that products are computed in.
LinearHead Select(const LinearHead& head, const at::Tensor& places, at::ScalarType type) {
  LinearHead selected = head;
  selected.input = head.input.flatten(0, 1).index_select(0, places);
  if (!head.weight.defined()) return selected;
  for (at::Tensor* part : {&selected.input, &selected.weight, &selected.bias}) {
    if (part->defined()) *part = part->to(type);
  }
  return selected;
}

at::Tensor Logits(const LinearHead& head, const at::Tensor& input,
                  at::ScalarType type = at::kFloat) {
  const at::Tensor logits =
      head.weight.defined() ? at::linear(input, head.weight, head.bias) : input;
  return logits.to(type);
}

at::Tensor Losses(const at::Tensor& logits, const at::Tensor& tokens) {
  return AtLabel(logits.log_softmax(-1), tokens).neg();
}

at::Tensor ValuesOf(const at::Tensor& logits, const at::Tensor& tokens,
                    const Observable& observable) {
  switch (observable.kind) {
    case ObservableKind::kCorrectProbability:
    case ObservableKind::kTokenProbability:
      return Losses(logits, tokens).neg().exp();
    case ObservableKind::kMargin:
      return Margin(logits, tokens);
    case ObservableKind::kLogit:
      return logits.select(-1, observable.logit_index);
    case ObservableKind::kLogitDifference:
      return logits.select(-1, observable.logit_index) -
             logits.select(-1, observable.other_logit_index);
    case ObservableKind::kLoss:
    case ObservableKind::kSpanLoss:
    case ObservableKind::kTokenLosses:
      break;
  }
  return Losses(logits, tokens);
}

// `products`: what the head's product is computed in, `losses`: what comes after it.
at::Tensor ValuesIn(const LinearHead& head, const TokenTargets& targets,
                    const Observable& observable, at::ScalarType products, at::ScalarType losses) {
  const LinearHead selected = Select(head, targets.places, products);
  const int64_t count = targets.tokens.size(0), at_once = TokensAtOnce(head);
  std::vector<at::Tensor> values;
  for (int64_t first = 0; first < count; first += at_once) {
    const int64_t size = std::min(at_once, count - first);
    values.push_back(ValuesOf(Logits(selected, selected.input.narrow(0, first, size), losses),
                              targets.tokens.narrow(0, first, size), observable));
  }
  return values.size() == 1 ? values[0] : at::cat(values);
}

}  // namespace

at::Tensor TokenValues(const LinearHead& head, const TokenTargets& targets,
                       const Observable& observable, ComputeType compute) {
  return ValuesIn(head, targets, observable, TypeOf(compute), at::kFloat);
}

at::Tensor TokenValuesInDouble(const LinearHead& head, const TokenTargets& targets,
                               const Observable& observable) {
  return ValuesIn(head, targets, observable, at::kDouble, at::kDouble);
}

TokenLossGradient GradientOfTokenLosses(const LinearHead& head, const TokenTargets& targets,
                                        const at::Tensor& weights, ComputeType compute) {
  const at::NoGradGuard no_grad;
  const bool linear = head.weight.defined();
  const bool wants_input = head.input.requires_grad();
  const bool wants_weight = linear && head.weight.requires_grad();
  const bool wants_bias = head.bias.defined() && head.bias.requires_grad();
  const LinearHead selected = Select(head, targets.places, TypeOf(compute));
  const at::ScalarType type = selected.input.scalar_type();
  const int64_t count = targets.tokens.size(0), at_once = TokensAtOnce(head);

  TokenLossGradient found;
  found.losses = at::empty({count}, selected.input.options().dtype(at::kFloat));
  at::Tensor d_selected;
  if (wants_input) d_selected = at::empty(selected.input.sizes(), head.input.options());
  if (wants_weight) found.weight = at::zeros_like(head.weight);
  if (wants_bias) found.bias = at::zeros_like(head.bias);
  for (int64_t first = 0; first < count; first += at_once) {
    const int64_t size = std::min(at_once, count - first);
    const at::Tensor input = selected.input.narrow(0, first, size);
    const at::Tensor tokens = targets.tokens.narrow(0, first, size).unsqueeze(1);
    const at::Tensor weight = weights.narrow(0, first, size).unsqueeze(1);
    // log p, then p - onehot in the same memory: the gradient of the loss in the logits.
    at::Tensor p = Logits(selected, input).log_softmax(1);
    const at::Tensor log_p = p.gather(1, tokens);
    found.losses.narrow(0, first, size).copy_(log_p.squeeze(1)).neg_();
    p.exp_().scatter_(1, tokens, log_p.exp() - 1);
    if (!linear) {
      if (wants_input) d_selected.narrow(0, first, size).copy_(p.mul_(weight));
      continue;
    }
    const at::Tensor d_logits = p.to(type);
    if (wants_input) {
      at::Tensor part = d_selected.narrow(0, first, size);
      part.copy_(at::mm(d_logits, selected.weight)).mul_(weight);
    }
    if (wants_weight) {
      const at::Tensor weighted = (input * weight).to(type);
      if (type == at::kFloat) {
        found.weight.addmm_(d_logits.t(), weighted);
      } else {
        found.weight.add_(at::mm(d_logits.t(), weighted));
      }
    }
    if (wants_bias) found.bias.add_(p.mul_(weight).sum(0));
  }
  if (wants_input) {
    found.input = at::zeros(head.input.sizes(), head.input.options());
    found.input.flatten(0, 1).index_copy_(0, targets.places, d_selected);
  }
  return found;
}

}  // namespace bif::engine
