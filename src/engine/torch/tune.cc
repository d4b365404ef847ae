#include "src/engine/torch/tune.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/chains.h"
#include "src/engine/torch/mixed_precision.h"
#include "src/engine/torch/tune_sequences.h"

namespace bif::engine {
namespace {

constexpr absl::Duration kChainBudget =
    absl::Milliseconds(500);  // for both ways of stepping together
constexpr absl::Duration kTraceBudget = absl::Milliseconds(500);  // for all batch sizes together
constexpr std::array<int64_t, 6> kBatchRows = {64, 256, 1024, 4096, 16384, 65536};
constexpr int64_t kMostCpuBatchRows = 4096;
constexpr double kWorthIt = 0.97;     // a larger batch must win by 3 %: it takes more memory
constexpr uint32_t kMostChains = 16;  // to time with

// Seconds of the fastest step of all chains, or an error of the first.
class StepTimer {
 public:
  static absl::StatusOr<StepTimer> Start(const LoadedProgram& model,
                                         const SamplerSettings& settings, const MovingSet& moving,
                                         const TorchRows& train, bool batched) {
    StepTimer timer;
    ExecutionPlan plan;
    plan.batched_chains = batched;
    BIF_ASSIGN_OR_RETURN(timer.group_,
                         StartTorchChains(model, settings, moving, plan, train, 0,
                                          std::min(settings.chains, kMostChains), {}));
    BIF_RETURN_IF_ERROR(
        timer.group_->Advance(1).status());  // the first call allocates and loads kernels
    return timer;
  }
  absl::Status Measure() {
    const absl::Time start = absl::Now();
    BIF_RETURN_IF_ERROR(group_->Advance(1).status());
    best_ = std::min(best_, absl::Now() - start);
    return absl::OkStatus();
  }
  absl::Duration best() const { return best_; }

 private:
  std::unique_ptr<ChainGroup> group_;
  absl::Duration best_ = absl::InfiniteDuration();
};

absl::StatusOr<bool> BatchedChainsAreFaster(const LoadedProgram& model,
                                            const SamplerSettings& settings,
                                            const MovingSet& moving, const TorchRows& train) {
  if (settings.chains < 2) return false;
  const absl::Time deadline = absl::Now() + kChainBudget;
  BIF_ASSIGN_OR_RETURN(StepTimer loop, StepTimer::Start(model, settings, moving, train, false));
  absl::StatusOr<StepTimer> batched = StepTimer::Start(model, settings, moving, train, true);
  if (!batched.ok()) return false;
  do {  // alternating, so that a slow moment of the machine hits both
    BIF_RETURN_IF_ERROR(loop.Measure());
    if (!batched->Measure().ok()) return false;
  } while (absl::Now() < deadline);
  return batched->best() < kWorthIt * loop.best();
}

// Seconds a row of `draws` draws together, all of them w*, in calls of `batch_rows`: the best of
// `calls`.
absl::StatusOr<double> SecondsARow(const LoadedProgram& model, const TorchRows& train,
                                   ComputeType compute, int64_t draws, int64_t batch_rows,
                                   int calls) {
  const at::NoGradGuard no_grad;
  const std::vector<absl::Span<const at::Tensor>> weights(static_cast<size_t>(draws), model.anchor);
  std::vector<float> values(static_cast<size_t>(draws * batch_rows));
  ExecutionPlan plan;
  plan.trace_batch_rows = batch_rows;
  plan.compute = compute;
  double best = std::numeric_limits<double>::infinity();
  for (int call = 0; call < calls; ++call) {
    const absl::Time start = absl::Now();
    BIF_RETURN_IF_ERROR(EvaluateRows(model, weights, train, 0, batch_rows, Observable{}, plan,
                                     absl::MakeSpan(values)));
    best = std::min(best,
                    absl::ToDoubleSeconds(absl::Now() - start) / static_cast<double>(batch_rows));
  }
  return best;
}

absl::StatusOr<int64_t> FastestBatchRows(const LoadedProgram& model, const TorchRows& train,
                                         ComputeType compute, int64_t draws) {
  const absl::Time deadline = absl::Now() + kTraceBudget;
  int64_t fastest = kBatchRows[0];
  if (train.rows() < fastest) return fastest;
  BIF_ASSIGN_OR_RETURN(double best, SecondsARow(model, train, compute, draws, fastest, 2));
  for (const int64_t rows : kBatchRows) {
    // Two calls at the pace of the best so far must fit into what time is left.
    const double left = absl::ToDoubleSeconds(deadline - absl::Now());
    const double call = best * static_cast<double>(rows);
    if (model.device.is_cpu() && rows > kMostCpuBatchRows) break;
    if (rows > train.rows() || 2 * call > left) break;
    const int calls = std::clamp(static_cast<int>(left / 4 / call), 2, 20);
    BIF_ASSIGN_OR_RETURN(const double seconds,
                         SecondsARow(model, train, compute, draws, rows, calls));
    if (seconds < kWorthIt * best || rows == fastest) {
      best = seconds;
      fastest = rows;
    }
  }
  return fastest;
}

}  // namespace

absl::StatusOr<ExecutionPlan> TunePlan(const LoadedProgram& model, const SamplerSettings& settings,
                                       const MovingSet& moving, const TorchRows& train) {
  return CatchTorch("tuning", [&]() -> absl::StatusOr<ExecutionPlan> {
    ExecutionPlan plan;
    ComputeChoice choice = ChooseCompute(settings.compute, model.device);
    plan.compute = choice.compute;
    plan.compute_reason = std::move(choice.reason);
    if (train.tokens() != nullptr) {
      BIF_RETURN_IF_ERROR(TuneSequences(model, settings, moving, train, plan));
      return plan;
    }
    if (plan.compute == ComputeType::kFp32) {
      BIF_ASSIGN_OR_RETURN(plan.batched_chains,
                           BatchedChainsAreFaster(model, settings, moving, train));
    }
    // A posterior traces the draws of all chains together.
    const int64_t draws =
        std::min<int64_t>(settings.chains, DrawsAtOnce(moving.elements, model.device));
    BIF_ASSIGN_OR_RETURN(plan.trace_batch_rows,
                         FastestBatchRows(model, train, plan.compute, draws));
    return plan;
  });
}

}  // namespace bif::engine
