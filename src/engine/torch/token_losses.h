// Losses of tokens, and what else is observed of them, from a language model's hidden states.
//
// The logits of a batch can be far larger than everything else: 1,200 tokens with a vocabulary of
// 50,000 take 240 MB, and softmax and gradient as much again. So they are made for some tokens at a
// time, used and forgotten, and only for tokens that are wanted at all.
//
// With ComputeType::kBf16 the products with the head's weight take bf16 operands; losses are
// computed from the logits in fp32 in any case. Functions may throw c10::Error; callers stand in
// CatchTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include "src/engine/engine.h"
#include "src/engine/torch/interpreter.h"
#include "src/engine/torch/token_rows.h"

namespace bif::engine {

// [n]: for each target its loss -log p, or with kMargin, kLogit, kLogitDifference,
// kCorrectProbability and kTokenProbability what these observe of a single token. Works inside a
// Vmap, and records gradients if it is asked to.
at::Tensor TokenValues(const LinearHead& head, const TokenTargets& targets,
                       const Observable& observable, ComputeType compute);
// The same of a program that ran in double.
at::Tensor TokenValuesInDouble(const LinearHead& head, const TokenTargets& targets,
                               const Observable& observable);

// The losses of the targets, and the gradients of sum(weights * losses) with respect to the head's
// parts. They are found together: once a token's logits are there, its weight is all that its
// gradient still needs, so no logits are kept for, or made again in, a backward pass.
struct TokenLossGradient {
  at::Tensor losses;               // [n]
  at::Tensor input, weight, bias;  // shaped like the head's; undefined where that does not require
                                   // gradients
};
TokenLossGradient GradientOfTokenLosses(const LinearHead& head, const TokenTargets& targets,
                                        const at::Tensor& weights, ComputeType compute);

}  // namespace bif::engine
