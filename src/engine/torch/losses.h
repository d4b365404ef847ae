// Per-sample losses and observables, from a program's first output.
//
//   CROSS_ENTROPY    -log softmax(logits)[label], in nats
//   SQUARED_ERROR    |output - target|^2 / 2, summed over the output's elements
//   PROGRAM_LOSSES   the output itself
//   NEXT_TOKEN       token_losses.h
// Outputs with more dimensions than [rows, classes] (a loss for each token) are averaged over them:
// MEAN_TOKENS.
//
// All functions work on batched tensors inside a Vmap (so log_softmax and gather: nll_loss has no
// batching rule) and may throw c10::Error; callers stand in CatchTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "src/engine/engine.h"

namespace bif::engine {

// values[..., labels[...]], and the label's logit minus the largest of the others.
at::Tensor AtLabel(const at::Tensor& values, const at::Tensor& labels);
at::Tensor Margin(const at::Tensor& logits, const at::Tensor& labels);

// Refuses outputs that do not fit: the first dimension must be `rows`, logits need a dimension of
// classes.
absl::Status CheckOutput(LossKind loss, const at::Tensor& output, const at::Tensor& target,
                         int64_t rows);

// [rows]. `target`: labels [rows] as int64, or numbers shaped like the output; undefined with
// PROGRAM_LOSSES.
at::Tensor SampleLosses(LossKind loss, const at::Tensor& output, const at::Tensor& target);

// The mean of SampleLosses. `batched`: inside a Vmap; outside, cross-entropy on [rows, classes] is
// LibTorch's own operator, which is faster.
at::Tensor BatchLoss(LossKind loss, const at::Tensor& output, const at::Tensor& target,
                     bool batched);

// Whether CrossEntropyOf takes this output: cross-entropy of [rows, classes] on a CPU, outside a
// Vmap, with few classes (cross_entropy.h).
bool HasKernel(LossKind loss, const at::Tensor& output);

// SampleLosses, and the gradient of their mean in the output. Nothing is recorded.
struct LossesAndGradient {
  at::Tensor losses;    // [rows]
  at::Tensor gradient;  // [rows, classes]; undefined if it is not wanted
};
LossesAndGradient CrossEntropyOf(const at::Tensor& output, const at::Tensor& labels,
                                 bool with_gradient);

// Refuses logits that are out of range, and a logit's difference with itself
// ("observable.logit_index", "observable.other_logit_index").
absl::Status CheckLogits(const Observable& observable, int64_t classes);

// Refuses what this loss does not have ("observable.kind") and logits out of range
// ("observable.logit_index", "observable.other_logit_index"). For sequences, see
// CheckTokenObservable.
absl::Status CheckObservable(LossKind loss, int64_t classes, const Observable& observable);

// [rows]. Nothing is recorded.
at::Tensor ObservableValues(LossKind loss, const Observable& observable, const at::Tensor& output,
                            const at::Tensor& target);

}  // namespace bif::engine
