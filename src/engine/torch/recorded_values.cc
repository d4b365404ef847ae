#include "src/engine/torch/recorded_values.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "src/base/status.h"
#include "src/engine/length_buckets.h"
#include "src/engine/torch/evaluate_sequences.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/token_losses.h"

namespace bif::engine {
namespace {

constexpr int64_t kGraphLogits = int64_t{1} << 24;  // floats: 64 MiB, held several times in a graph

bool InDouble(absl::Span<const at::Tensor> parameters) {
  return !parameters.empty() && parameters[0].scalar_type() == at::kDouble;
}

absl::StatusOr<at::Tensor> SequenceValues(const LoadedProgram& model,
                                          absl::Span<const at::Tensor> parameters,
                                          const RecordedCall& call, const Observable& observable) {
  BIF_ASSIGN_OR_RETURN(const LinearHead head,
                       model.program->RunToHead(parameters, call.batch.inputs));
  const at::Tensor of_tokens =
      InDouble(parameters) ? TokenValuesInDouble(head, call.targets, observable)
                           : TokenValues(head, call.targets, observable, ComputeType::kFp32);
  const at::Tensor weighted = of_tokens * call.token_weights.to(of_tokens.scalar_type());
  return at::zeros({call.rows}, call.token_weights.options().dtype(of_tokens.scalar_type()))
      .index_add(0, call.token_rows, weighted);
}

}  // namespace

RecordedCall RecordedCall::Gather(const LoadedProgram& model, const TorchRows& rows,
                                  absl::Span<const uint32_t> positions,
                                  const Observable& observable) {
  const at::NoGradGuard no_grad;
  RecordedCall call;
  call.batch = rows.Gather(positions);
  call.rows = static_cast<int64_t>(positions.size());
  if (rows.tokens() == nullptr) return call;
  call.targets = rows.tokens()->Targets(positions, SelectionOf(observable));
  const bool sums = SumsTokens(observable.kind, model.source.sequence.reduction);
  std::vector<int64_t> row_of_token;
  std::vector<float> weights;
  for (size_t row = 0; row < positions.size(); ++row) {
    const auto end = static_cast<size_t>(call.targets.ends[row]);
    const auto tokens = static_cast<float>(end - weights.size());
    row_of_token.resize(end, static_cast<int64_t>(row));
    weights.resize(end, sums ? 1.0f : 1.0f / tokens);
  }
  call.token_rows = at::tensor(row_of_token, at::kLong).to(model.device);
  call.token_weights = at::tensor(weights, at::kFloat).to(model.device);
  return call;
}

RecordedCall RecordedCall::Slice(const LoadedProgram& model, const TorchRows& rows, int64_t first,
                                 int64_t count, const Observable& observable) {
  if (rows.tokens() != nullptr) {
    std::vector<uint32_t> positions(static_cast<size_t>(count));
    std::iota(positions.begin(), positions.end(), static_cast<uint32_t>(first));
    return Gather(model, rows, positions, observable);
  }
  const at::NoGradGuard no_grad;
  RecordedCall call;
  call.batch = rows.Slice(first, count);
  call.rows = count;
  return call;
}

absl::StatusOr<at::Tensor> RecordedValues(const LoadedProgram& model,
                                          absl::Span<const at::Tensor> parameters,
                                          const RecordedCall& call, const Observable& observable) {
  if (call.token_rows.defined()) return SequenceValues(model, parameters, call, observable);
  BIF_ASSIGN_OR_RETURN(const at::Tensor raw, model.program->Run(parameters, call.batch.inputs));
  BIF_RETURN_IF_ERROR(CheckOutput(model.source.loss, raw, call.batch.target, call.rows));
  const at::Tensor output = raw.to(InDouble(parameters) ? at::kDouble : at::kFloat);
  if (observable.kind == ObservableKind::kLoss)
    return SampleLosses(model.source.loss, output, call.batch.target);
  return ObservableValues(model.source.loss, observable, output, call.batch.target);
}

std::vector<RecordedCall> RecordedBatch(const LoadedProgram& model, const TorchRows& train,
                                        absl::Span<const uint32_t> positions,
                                        const ExecutionPlan& plan) {
  std::vector<RecordedCall> calls;
  if (train.tokens() == nullptr) {
    calls.push_back(RecordedCall::Gather(model, train, positions, {}));
    return calls;
  }
  const auto length = [&](uint32_t row) { return train.token_losses(row); };
  const int64_t tokens =
      std::max<int64_t>(1, kGraphLogits / std::max<int64_t>(1, model.program->info().classes));
  for (const auto& call : CutByLength(positions, length, plan.step_batch_rows, tokens))
    calls.push_back(RecordedCall::Gather(model, train, call, {}));
  return calls;
}

}  // namespace bif::engine
