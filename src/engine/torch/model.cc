#include "src/engine/torch/model.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/torch/attention_path.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/chains.h"
#include "src/engine/torch/check_tangents.h"
#include "src/engine/torch/evaluate_sequences.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/resident_rows.h"
#include "src/engine/torch/tangents.h"
#include "src/engine/torch/tune.h"

namespace bif::engine {
namespace {

absl::Status CheckRows(int64_t rows, int64_t first_row, int64_t row_count,
                       const ExecutionPlan& plan) {
  if (first_row < 0 || row_count < 1 || first_row > rows - row_count) {
    return absl::InvalidArgumentError(absl::StrCat("rows ", first_row, " to ",
                                                   first_row + row_count, " are not within the ",
                                                   rows, " rows on the device"));
  }
  if (plan.trace_batch_rows >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a batch of ", plan.trace_batch_rows, " rows is impossible"));
}

absl::Status CheckDeltas(const WeightLayout& layout,
                         absl::Span<const absl::Span<const float>> deltas) {
  for (size_t d = 0; d < deltas.size(); ++d) {
    if (deltas[d].empty() || deltas[d].size() == static_cast<size_t>(layout.delta_elements))
      continue;
    return absl::InvalidArgumentError(absl::StrCat("draw ", d, " has ", deltas[d].size(),
                                                   " elements, the moving parameters ",
                                                   layout.delta_elements));
  }
  return absl::OkStatus();
}

absl::Status CheckRoom(size_t room, size_t draws, int64_t values_a_draw) {
  if (room == draws * static_cast<size_t>(values_a_draw)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("room for ", room, " values is given for ", draws,
                                                 " draws of ", values_a_draw, " values"));
}

class TorchModel final : public Model {
 public:
  explicit TorchModel(LoadedProgram loaded) : loaded_(std::move(loaded)) {}

  const ProgramInfo& info() const override { return loaded_.program->info(); }

  absl::StatusOr<std::unique_ptr<ResidentRows>> Upload(const SampleBatch& batch) override {
    return TorchRows::Upload(loaded_.source, *loaded_.program, batch, loaded_.device);
  }

  absl::StatusOr<std::unique_ptr<ChainGroup>> StartChains(
      const SamplerSettings& settings, const MovingSet& moving, const ExecutionPlan& plan,
      const ResidentRows& train, uint32_t first_chain, uint32_t count,
      const std::vector<ChainSnapshot>& snapshots) override {
    return StartTorchChains(loaded_, settings, moving, plan, Own(train), first_chain, count,
                            snapshots);
  }

  absl::StatusOr<ExecutionPlan> Tune(const SamplerSettings& settings, const MovingSet& moving,
                                     const ResidentRows& train) override {
    return TunePlan(loaded_, settings, moving, Own(train));
  }

  absl::Status Observe(const MovingSet& moving, absl::Span<const absl::Span<const float>> deltas,
                       const ResidentRows& rows, int64_t first_row, int64_t row_count,
                       const Observable& observable, const ExecutionPlan& plan,
                       absl::Span<float> values) override {
    return CatchTorch("evaluating samples", [&]() -> absl::Status {
      const at::NoGradGuard no_grad;
      const AttentionPath attention(plan.plain_attention);
      BIF_ASSIGN_OR_RETURN(const WeightLayout layout, WeightLayout::Of(info().parameters, moving));
      BIF_RETURN_IF_ERROR(CheckRows(rows.rows(), first_row, row_count, plan));
      BIF_RETURN_IF_ERROR(CheckDeltas(layout, deltas));
      const TokenRows* tokens = Own(rows).tokens();
      BIF_RETURN_IF_ERROR(tokens == nullptr
                              ? CheckObservable(loaded_.source.loss, info().classes, observable)
                              : CheckTokenObservable(tokens->sequences(), first_row, row_count,
                                                     info().classes, observable));
      BIF_RETURN_IF_ERROR(CheckRoom(values.size(), deltas.size(),
                                    ValueCount(Own(rows), first_row, row_count, observable)));
      const auto evaluate = [&](bool batched) {
        return EvaluateDraws(loaded_, layout, deltas, Own(rows), first_row, row_count, observable,
                             plan, batched, values);
      };
      if (plan.compute == ComputeType::kFp32 && batching_works_ &&
          BatchesDraws(layout, Own(rows), first_row, row_count, deltas.size())) {
        if (CatchTorch("a batched call", [&] { return evaluate(true); }).ok())
          return absl::OkStatus();
        batching_works_ = false;  // an operator without a batching rule: the same every time
      }
      return evaluate(false);
    });
  }

  absl::StatusOr<TangentPlan> CheckTangents(const MovingSet& moving, const ExecutionPlan& plan,
                                            const ResidentRows& train) override {
    return CheckTorchTangents(loaded_, moving, plan, Own(train));
  }

  absl::StatusOr<std::unique_ptr<TangentStretch>> StartTangents(
      const SamplerSettings& settings, const MovingSet& moving, const ExecutionPlan& plan,
      const TangentPlan& tangent_plan, const ResidentRows& train, const ChainSnapshot& from,
      const ResidentRows& queries, const Observable& observable,
      absl::Span<const float> tangents) override {
    return StartTorchTangents(loaded_, settings, moving, plan, tangent_plan, Own(train), from,
                              Own(queries), observable, tangents);
  }

 private:
  // Rows come from this engine's Upload.
  static const TorchRows& Own(const ResidentRows& rows) {
    return static_cast<const TorchRows&>(rows);
  }

  LoadedProgram loaded_;
  bool batching_works_ = true;
};

}  // namespace

std::unique_ptr<Model> MakeTorchModel(LoadedProgram loaded) {
  return std::make_unique<TorchModel>(std::move(loaded));
}

}  // namespace bif::engine
