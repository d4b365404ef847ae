// Observables of token sequences: rows sorted by length and cut into calls by tokens, the values
// put back in the order of the rows. What a row's values are does not depend on the others, but for
// rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

// Refuses positions and spans that the shortest of the rows does not have ("observable.position",
// "observable.span_begin", "observable.span_end"), a span that a row's mask hides, logits out of
// the vocabulary and kinds that are none.
absl::Status CheckTokenObservable(const Sequences& rows, int64_t first, int64_t count,
                                  int64_t vocabulary, const Observable& observable);

// The tokens of a row that an observable speaks of, and whether their values are summed; else they
// are averaged.
TokenSelection SelectionOf(const Observable& observable);
bool SumsTokens(ObservableKind kind, TokenReduction reduction);

// Rows [first, first + count), which must be sequences, into `values`: one number a row, or with
// kTokenLosses token_losses(row) numbers. Rows are sorted within windows of plan.trace_batch_rows
// rows, so that a caller that goes on in multiples of it gets the same bits.
absl::Status EvaluateSequences(const LoadedProgram& model, absl::Span<const at::Tensor> parameters,
                               const TorchRows& rows, int64_t first, int64_t count,
                               const Observable& observable, const ExecutionPlan& plan,
                               absl::Span<float> values);

// Whether several draws should share a call for these rows: only where so few tokens are computed
// that the calls of operators cost more than the arithmetic.
bool BatchesDrawsOfSequences(const TorchRows& rows, int64_t first, int64_t count, size_t draws);

// How many draws such a call should hold at most.
int64_t MostDrawsOfSequences(const WeightLayout& layout, int64_t vocabulary);

// EvaluateSequences at several draws in one call: rows_of_weights is [draws, row_elements], and
// `values` has one draw's after the other.
absl::Status EvaluateSequencesAtDraws(const LoadedProgram& model, const WeightLayout& layout,
                                      const at::Tensor& rows_of_weights, const TorchRows& rows,
                                      int64_t first, int64_t count, const Observable& observable,
                                      absl::Span<float> values);

}  // namespace bif::engine
