#include "src/engine/torch/evaluate_sequences.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/length_buckets.h"
#include "src/engine/torch/attention_path.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/mixed_precision.h"
#include "src/engine/torch/token_losses.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

constexpr int64_t kMostTokensToBatch = 256;
constexpr int64_t kBatchedFloats = 1
                                   << 22;  // of weights, or of logits, in one call at several draws

bool IsOneToken(ObservableKind kind) {
  return kind == ObservableKind::kTokenProbability || kind == ObservableKind::kLogit ||
         kind == ObservableKind::kLogitDifference;
}

absl::Status CheckSpan(const Sequences& rows, int64_t first, int64_t count, int64_t shortest,
                       const Observable& observable) {
  const int64_t begin = observable.span_begin;
  const int64_t end = observable.span_end == 0 ? shortest : int64_t{observable.span_end};
  if (begin < 1 || begin >= shortest) {
    return FieldError("observable.span_begin",
                      absl::StrCat("must be 1 to ", shortest - 1,
                                   ", the last position of the shortest sequence; is ", begin));
  }
  if (end <= begin || end > shortest) {
    return FieldError("observable.span_end",
                      absl::StrCat("must be above span_begin, ", begin, ", and at most ", shortest,
                                   ", the tokens of the shortest sequence; is ", end));
  }
  for (int64_t row = first; row < first + count; ++row) {
    const int64_t row_end = observable.span_end == 0 ? rows.length(row) : end;
    bool any = false;
    for (int64_t p = begin; p < row_end; ++p) any |= rows.Counts(row, p);
    if (!any) {
      return FieldError("observable.span_begin",
                        absl::StrCat("the mask of row ", row, " hides the whole span"));
    }
  }
  return absl::OkStatus();
}

// What a row's values come to. Probabilities and margins are averaged, whatever the reduction of
// losses is.
float Reduced(absl::Span<const float> values, ObservableKind kind, TokenReduction reduction) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  if (SumsTokens(kind, reduction)) return static_cast<float>(sum);
  return static_cast<float>(sum / static_cast<double>(values.size()));
}

class Evaluator {
 public:
  Evaluator(const LoadedProgram& model, absl::Span<const at::Tensor> parameters,
            const TorchRows& rows, const Observable& observable, ComputeType compute)
      : model_(model),
        parameters_(parameters),
        rows_(rows),
        observable_(observable),
        compute_(compute),
        every_token_(observable.kind == ObservableKind::kTokenLosses) {}

  size_t ValuesOf(int64_t row) const {
    return every_token_ ? static_cast<size_t>(rows_.token_losses(row)) : 1;
  }

  // Rows [first, first + count), in calls of at most `tokens` tokens. Returns how many values they
  // have, which are the first of `values`.
  absl::StatusOr<size_t> Window(int64_t first, int64_t count, int64_t tokens,
                                absl::Span<float> values) const {
    std::vector<uint32_t> window(static_cast<size_t>(count));
    std::iota(window.begin(), window.end(), static_cast<uint32_t>(first));
    std::vector<size_t> begins = {0};  // of each row's values
    for (const uint32_t row : window) begins.push_back(begins.back() + ValuesOf(row));
    const auto length = [this](uint32_t row) { return rows_.token_losses(row); };
    const auto calls = CutByLength(window, length, /*most_rows=*/0, tokens);
    // Fetched together at the end, so that another device need not wait between the calls.
    std::vector<TokenTargets> targets;
    std::vector<at::Tensor> found;
    for (const auto& call : calls) {
      targets.push_back(Targets(call));
      BIF_ASSIGN_OR_RETURN(found.emplace_back(), Run(call, targets.back()));
    }
    const at::Tensor host = at::cat(found).cpu();
    const float* from = host.const_data_ptr<float>();
    for (size_t i = 0; i < calls.size(); ++i) {
      StoreCall(calls[i], targets[i], from, [&](uint32_t row) {
        return values.subspan(begins[row - window[0]], ValuesOf(row));
      });
      from += found[i].numel();
    }
    return begins.back();
  }

  // The same for few rows, in one call at all draws of `vmap`, in which the parameters are wrapped.
  absl::Status AtDraws(const Vmap& vmap, int64_t first, int64_t count,
                       absl::Span<float> values) const {
    std::vector<uint32_t> call(static_cast<size_t>(count));
    std::iota(call.begin(), call.end(), static_cast<uint32_t>(first));
    const TokenTargets targets = Targets(call);
    BIF_ASSIGN_OR_RETURN(const at::Tensor found, Run(call, targets));
    const at::Tensor host = vmap.Unwrap(found).cpu().contiguous();
    for (int64_t draw = 0; draw < host.size(0); ++draw) {
      StoreCall(call, targets, host[draw].const_data_ptr<float>(), [&](uint32_t row) {
        const absl::Span<float> to = values.first(ValuesOf(row));
        values.remove_prefix(to.size());
        return to;
      });
    }
    return absl::OkStatus();
  }

 private:
  TokenTargets Targets(absl::Span<const uint32_t> call) const {
    return rows_.tokens()->Targets(call, SelectionOf(observable_));
  }

  // One forward call: [n], the observable's values of the targets.
  absl::StatusOr<at::Tensor> Run(absl::Span<const uint32_t> call,
                                 const TokenTargets& targets) const {
    BIF_ASSIGN_OR_RETURN(const LinearHead head, [&] {
      const MixedPrecision precision(compute_, model_.device);
      return model_.program->RunToHead(parameters_, rows_.Gather(call).inputs);
    }());
    return TokenValues(head, targets, observable_, compute_);
  }

  // `found` has a value for each target; values_of(row), called in the order of the call, is where
  // a row's go.
  void StoreCall(absl::Span<const uint32_t> call, const TokenTargets& targets, const float* found,
                 absl::FunctionRef<absl::Span<float>(uint32_t)> values_of) const {
    int64_t begin = 0;
    for (size_t i = 0; i < call.size(); ++i) {
      const auto selected = static_cast<size_t>(targets.ends[i] - begin);
      Store(call[i], absl::MakeConstSpan(found + begin, selected), values_of(call[i]));
      begin = targets.ends[i];
    }
  }

  // The values of a row's selected tokens, as the observable wants them.
  void Store(uint32_t row, absl::Span<const float> selected, absl::Span<float> to) const {
    if (!every_token_) {
      to[0] = Reduced(selected, observable_.kind, model_.source.sequence.reduction);
      return;
    }
    const Sequences& sequences = rows_.tokens()->sequences();
    auto next = selected.begin();
    for (int64_t p = 1; p < sequences.length(row); ++p)
      to[static_cast<size_t>(p - 1)] = sequences.Counts(row, p) ? *next++ : 0.0f;
  }

  const LoadedProgram& model_;
  const absl::Span<const at::Tensor> parameters_;
  const TorchRows& rows_;
  const Observable& observable_;
  const ComputeType compute_;
  const bool every_token_;
};

}  // namespace

TokenSelection SelectionOf(const Observable& observable) {
  if (IsOneToken(observable.kind)) {
    const int64_t position = observable.position;
    return {position, position + 1, /*masked_too=*/true};
  }
  if (observable.kind == ObservableKind::kSpanLoss)
    return {observable.span_begin, observable.span_end, false};
  return {};
}

bool SumsTokens(ObservableKind kind, TokenReduction reduction) {
  const bool of_losses = kind == ObservableKind::kLoss || kind == ObservableKind::kSpanLoss;
  return of_losses && reduction == TokenReduction::kSum;
}

absl::Status CheckTokenObservable(const Sequences& rows, int64_t first, int64_t count,
                                  int64_t vocabulary, const Observable& observable) {
  int64_t shortest = rows.length(first);
  for (int64_t row = first + 1; row < first + count; ++row)
    shortest = std::min(shortest, rows.length(row));
  switch (observable.kind) {
    case ObservableKind::kLoss:
    case ObservableKind::kCorrectProbability:
    case ObservableKind::kMargin:
    case ObservableKind::kTokenLosses:
      return absl::OkStatus();
    case ObservableKind::kSpanLoss:
      return CheckSpan(rows, first, count, shortest, observable);
    case ObservableKind::kLogit:
    case ObservableKind::kLogitDifference:
      BIF_RETURN_IF_ERROR(CheckLogits(observable, vocabulary));
      [[fallthrough]];
    case ObservableKind::kTokenProbability:
      if (observable.position >= 1 && int64_t{observable.position} < shortest)
        return absl::OkStatus();
      return FieldError(
          "observable.position",
          absl::StrCat("must be 1 to ", shortest - 1,
                       ", the last position of the shortest sequence; is ", observable.position));
  }
  return FieldError("observable.kind", "is not one that this server knows");
}

absl::Status EvaluateSequences(const LoadedProgram& model, absl::Span<const at::Tensor> parameters,
                               const TorchRows& rows, int64_t first, int64_t count,
                               const Observable& observable, const ExecutionPlan& plan,
                               absl::Span<float> values) {
  const Evaluator evaluator(model, parameters, rows, observable, plan.compute);
  for (int64_t done = 0; done < count; done += plan.trace_batch_rows) {
    BIF_ASSIGN_OR_RETURN(
        const size_t written,
        evaluator.Window(first + done, std::min(plan.trace_batch_rows, count - done),
                         plan.trace_batch_tokens, values));
    values.remove_prefix(written);
  }
  return absl::OkStatus();
}

bool BatchesDrawsOfSequences(const TorchRows& rows, int64_t first, int64_t count, size_t draws) {
  int64_t tokens = 0;
  for (int64_t row = first; row < first + count; ++row) tokens += rows.token_losses(row);
  return draws >= 2 && tokens <= kMostTokensToBatch;
}

int64_t MostDrawsOfSequences(const WeightLayout& layout, int64_t vocabulary) {
  return std::max<int64_t>(
      1, kBatchedFloats / std::max(layout.row_elements, kMostTokensToBatch * vocabulary));
}

absl::Status EvaluateSequencesAtDraws(const LoadedProgram& model, const WeightLayout& layout,
                                      const at::Tensor& rows_of_weights, const TorchRows& rows,
                                      int64_t first, int64_t count, const Observable& observable,
                                      absl::Span<float> values) {
  // The fused kernel has no batching rule, and would run draw by draw.
  const AttentionPath attention(/*plain=*/true);
  const Vmap vmap(rows_of_weights.size(0));
  std::vector<at::Tensor> parameters(model.anchor);
  for (const WeightRange& range : layout.ranges)
    parameters[range.parameter] = vmap.Wrap(layout.View(rows_of_weights, range));
  return Evaluator(model, parameters, rows, observable, ComputeType::kFp32)
      .AtDraws(vmap, first, count, values);
}

}  // namespace bif::engine
