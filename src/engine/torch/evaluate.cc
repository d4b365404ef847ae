#include "src/engine/torch/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/torch/evaluate_sequences.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/mixed_precision.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

constexpr int64_t kMostRowsToBatch = 32;
constexpr int64_t kWeightsAtOnce = 1 << 20;        // floats of several draws: 4 MiB, for the cache
constexpr int64_t kDeviceWeightsAtOnce = 1 << 26;  // 256 MiB: fewer copies to the device

absl::StatusOr<at::Tensor> Observed(const LoadedProgram& model,
                                    absl::Span<const at::Tensor> parameters,
                                    const DeviceBatch& batch, int64_t rows,
                                    const Observable& observable, ComputeType compute) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor output,
                       CheckedOutput(model, parameters, batch, rows, compute));
  return ObservableValues(model.source.loss, observable, output, batch.target);
}

void CopyToHost(const at::Tensor& from, float* to) {
  const at::Tensor host = from.to(at::kCPU, at::kFloat).contiguous();
  std::copy_n(host.const_data_ptr<float>(), host.numel(), to);
}

// The values of several calls on their way to the host. Those of another device are fetched all at
// once, so that it need not wait between the calls.
class Results {
 public:
  void Add(const at::Tensor& from, float* to) {
    if (from.is_cpu()) return CopyToHost(from, to);
    waiting_.push_back(from.to(at::kFloat).flatten());
    places_.push_back(to);
  }
  void Fetch() {
    if (waiting_.empty()) return;
    const at::Tensor host = at::cat(waiting_).cpu();
    const float* from = host.const_data_ptr<float>();
    for (size_t i = 0; i < waiting_.size(); ++i) {
      std::copy_n(from, waiting_[i].numel(), places_[i]);
      from += waiting_[i].numel();
    }
  }

 private:
  std::vector<at::Tensor> waiting_;
  std::vector<float*> places_;
};

// Some draws in one call. rows_of_weights: [draws, row_elements].
absl::Status EvaluateBatched(const LoadedProgram& model, const WeightLayout& layout,
                             const at::Tensor& rows_of_weights, const DeviceBatch& batch,
                             int64_t count, const Observable& observable, float* values) {
  const Vmap vmap(rows_of_weights.size(0));
  std::vector<at::Tensor> parameters(model.anchor);
  for (const WeightRange& range : layout.ranges) {
    parameters[range.parameter] = vmap.Wrap(layout.View(rows_of_weights, range));
  }
  BIF_ASSIGN_OR_RETURN(const at::Tensor observed,
                       Observed(model, parameters, batch, count, observable, ComputeType::kFp32));
  const at::Tensor stacked = vmap.Unwrap(observed);
  CopyToHost(stacked, values);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<at::Tensor> CheckedOutput(const LoadedProgram& model,
                                         absl::Span<const at::Tensor> parameters,
                                         const DeviceBatch& batch, int64_t rows,
                                         ComputeType compute) {
  BIF_ASSIGN_OR_RETURN(const at::Tensor output, [&] {
    const MixedPrecision precision(compute, model.device);
    return model.program->Run(parameters, batch.inputs);
  }());
  BIF_RETURN_IF_ERROR(CheckOutput(model.source.loss, output, batch.target, rows));
  return output.to(at::kFloat);
}

absl::Status EvaluateRows(const LoadedProgram& model,
                          absl::Span<const absl::Span<const at::Tensor>> parameter_sets,
                          const TorchRows& rows, int64_t first, int64_t count,
                          const Observable& observable, const ExecutionPlan& plan,
                          absl::Span<float> values) {
  if (rows.tokens() != nullptr) {
    const size_t each = values.size() / parameter_sets.size();
    for (size_t set = 0; set < parameter_sets.size(); ++set) {
      BIF_RETURN_IF_ERROR(EvaluateSequences(model, parameter_sets[set], rows, first, count,
                                            observable, plan, values.subspan(set * each, each)));
    }
    return absl::OkStatus();
  }
  Results results;
  for (int64_t done = 0; done < count; done += plan.trace_batch_rows) {
    const int64_t size = std::min(plan.trace_batch_rows, count - done);
    const DeviceBatch batch = rows.Slice(first + done, size);
    float* out = values.data() + done;
    for (const absl::Span<const at::Tensor> parameters : parameter_sets) {
      BIF_ASSIGN_OR_RETURN(const at::Tensor observed,
                           Observed(model, parameters, batch, size, observable, plan.compute));
      results.Add(observed, out);
      out += count;
    }
  }
  results.Fetch();
  return absl::OkStatus();
}

int64_t ValueCount(const TorchRows& rows, int64_t first, int64_t count,
                   const Observable& observable) {
  if (observable.kind != ObservableKind::kTokenLosses) return count;
  int64_t values = 0;
  for (int64_t row = first; row < first + count; ++row) values += rows.token_losses(row);
  return values;
}

bool BatchesDraws(const WeightLayout& layout, const TorchRows& rows, int64_t first, int64_t count,
                  size_t draws) {
  if (rows.tokens() != nullptr) return BatchesDrawsOfSequences(rows, first, count, draws);
  const bool convolves =
      std::any_of(layout.ranges.begin(), layout.ranges.end(),
                  [](const WeightRange& range) { return range.shape.size() > 2; });
  return !convolves && count <= kMostRowsToBatch && draws >= 2;
}

int64_t DrawsAtOnce(int64_t weights, c10::Device device) {
  return std::max<int64_t>(1, (device.is_cpu() ? kWeightsAtOnce : kDeviceWeightsAtOnce) / weights);
}

absl::Status EvaluateDraws(const LoadedProgram& model, const WeightLayout& layout,
                           absl::Span<const absl::Span<const float>> deltas, const TorchRows& rows,
                           int64_t first, int64_t count, const Observable& observable,
                           const ExecutionPlan& plan, bool batched, absl::Span<float> values) {
  const auto draws = static_cast<int64_t>(deltas.size());
  const int64_t values_a_draw = ValueCount(rows, first, count, observable);
  const int64_t in_cache = batched && rows.tokens() != nullptr
                               ? MostDrawsOfSequences(layout, model.program->info().classes)
                               : DrawsAtOnce(layout.row_elements, model.device);
  const int64_t at_once = std::min(draws, in_cache);
  const at::Tensor weights = at::empty({at_once, layout.row_elements}, model.anchor[0].options());
  for (int64_t d = 0; d < draws; d += at_once) {
    const int64_t group = std::min(at_once, draws - d);
    layout.SetSums(model.anchor, deltas.subspan(static_cast<size_t>(d), static_cast<size_t>(group)),
                   weights);
    const absl::Span<float> out = values.subspan(static_cast<size_t>(d * values_a_draw),
                                                 static_cast<size_t>(group * values_a_draw));
    if (batched) {
      const at::Tensor part = weights.narrow(0, 0, group);
      BIF_RETURN_IF_ERROR(
          rows.tokens() != nullptr
              ? EvaluateSequencesAtDraws(model, layout, part, rows, first, count, observable, out)
              : EvaluateBatched(model, layout, part, rows.Slice(first, count), count, observable,
                                out.data()));
      continue;
    }
    std::vector<std::vector<at::Tensor>> parameters;
    for (int64_t i = 0; i < group; ++i)
      parameters.push_back(layout.Parameters(model.anchor, weights[i]));
    const std::vector<absl::Span<const at::Tensor>> sets(parameters.begin(), parameters.end());
    BIF_RETURN_IF_ERROR(EvaluateRows(model, sets, rows, first, count, observable, plan, out));
  }
  return absl::OkStatus();
}

absl::StatusOr<double> MeanLoss(const LoadedProgram& model, absl::Span<const at::Tensor> parameters,
                                const TorchRows& rows, int64_t count, const ExecutionPlan& plan) {
  const at::NoGradGuard no_grad;
  std::vector<float> losses(static_cast<size_t>(count));
  BIF_RETURN_IF_ERROR(EvaluateRows(model, {parameters}, rows, 0, count, Observable{}, plan,
                                   absl::MakeSpan(losses)));
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(count);
}

}  // namespace bif::engine
