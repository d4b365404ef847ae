#include "src/engine/torch/tune_sequences.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/base/status.h"
#include "src/engine/torch/attention_path.h"
#include "src/engine/torch/gradients.h"

namespace bif::engine {
namespace {

// About a second and a half together.
constexpr absl::Duration kAttentionBudget = absl::Milliseconds(250);  // for steps, and for traces
constexpr absl::Duration kTraceBudget = absl::Milliseconds(400);
constexpr absl::Duration kStepBudget = absl::Milliseconds(600);
constexpr absl::Duration kWindow = absl::Milliseconds(60);  // what a query may have to wait for
constexpr int64_t kTrialTokens = 4096;                      // on a CPU, whose cache they leave
constexpr int64_t kDeviceTrialTokens = 65536;               // to fill a GPU
constexpr int64_t kLeastTokens = 512;         // of a trace call; at most those of the trial
constexpr int64_t kLeastDeviceTokens = 8192;  // a GPU takes as long for fewer
constexpr int64_t kLeastStepTokens = 256;
constexpr int64_t kMostWindowRows = 1024, kMostDeviceWindowRows = 16384;
// The fused kernel saves memory, and smaller calls do: what comes later must win by so much.
constexpr double kWorthIt = 0.97;
constexpr double kNever = std::numeric_limits<double>::infinity();

// Alternatives of one choice, timed in turns, so that a slow moment of the machine hits all. What
// the time does not suffice for is not chosen.
struct Trial {
  ExecutionPlan plan;
  double token_seconds = kNever;  // the fastest run, by its tokens
};

// `run` returns the tokens that it computed.
absl::Status Measure(absl::FunctionRef<absl::StatusOr<int64_t>(const ExecutionPlan&)> run,
                     absl::Duration budget, std::vector<Trial>& trials) {
  const absl::Time deadline = absl::Now() + budget;
  // The first call allocates and loads kernels.
  BIF_RETURN_IF_ERROR(run(trials[0].plan).status());
  do {
    for (Trial& trial : trials) {
      const absl::Time start = absl::Now();
      if (start > deadline && trials[0].token_seconds < kNever) break;
      BIF_ASSIGN_OR_RETURN(const int64_t tokens, run(trial.plan));
      const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
      trial.token_seconds = std::min(trial.token_seconds, seconds / static_cast<double>(tokens));
    }
  } while (absl::Now() < deadline);
  return absl::OkStatus();
}

const Trial& Best(const std::vector<Trial>& trials) {
  const Trial* best = &trials[0];
  for (const Trial& trial : trials) {
    if (trial.token_seconds < kWorthIt * best->token_seconds) best = &trial;
  }
  return *best;
}

int64_t TrialTokens(c10::Device device) {
  return device.is_cpu() ? kTrialTokens : kDeviceTrialTokens;
}

class SequenceTuner {
 public:
  SequenceTuner(const LoadedProgram& model, const WeightLayout& layout, const TorchRows& train,
                int64_t batch)
      : model_(model),
        layout_(layout),
        train_(train),
        weights_(layout.Row(model.anchor).unsqueeze(0)) {
    while (trial_rows_ < train.rows() && trial_tokens_ < TrialTokens(model.device))
      trial_tokens_ += train.token_losses(trial_rows_++);
    batch_.resize(static_cast<size_t>(std::min(batch, trial_rows_)));
    std::iota(batch_.begin(), batch_.end(), 0u);
    std::stable_sort(batch_.begin(), batch_.end(), [&](uint32_t a, uint32_t b) {
      return train.token_losses(a) > train.token_losses(b);
    });
  }

  int64_t mean_tokens() const { return std::max<int64_t>(1, trial_tokens_ / trial_rows_); }
  int64_t batch_rows() const { return static_cast<int64_t>(batch_.size()); }

  absl::StatusOr<int64_t> Trace(const ExecutionPlan& plan) const {
    const AttentionPath attention(plan.plain_attention);
    const at::NoGradGuard no_grad;
    ExecutionPlan one_window = plan;
    one_window.trace_batch_rows = trial_rows_;
    std::vector<float> values(static_cast<size_t>(trial_rows_));
    BIF_RETURN_IF_ERROR(EvaluateRows(model_, {absl::MakeConstSpan(model_.anchor)}, train_, 0,
                                     trial_rows_, Observable{}, one_window,
                                     absl::MakeSpan(values)));
    return trial_tokens_;
  }

  // One call of a step, or some: the rows from the middle of the sorted batch, so that they have as
  // much padding as the calls of a whole step have.
  absl::StatusOr<int64_t> Step(const ExecutionPlan& plan) const {
    const AttentionPath attention(plan.plain_attention);
    const int64_t rows = std::clamp<int64_t>(plan.step_batch_rows, 1, batch_rows());
    const auto middle = absl::MakeConstSpan(batch_).subspan(
        static_cast<size_t>((batch_rows() - rows) / 2), static_cast<size_t>(rows));
    const GradientSource source(model_, layout_, weights_, plan);
    BIF_RETURN_IF_ERROR(source.At(train_, middle).status());
    int64_t tokens = 0;
    for (const uint32_t row : middle) tokens += train_.token_losses(row);
    return tokens;
  }

 private:
  const LoadedProgram& model_;
  const WeightLayout& layout_;
  const TorchRows& train_;
  const at::Tensor weights_;
  int64_t trial_rows_ = 0, trial_tokens_ = 0;
  std::vector<uint32_t> batch_;  // longest first
};

// Attention by what a draw costs: its steps, and the traces of all training rows.
absl::StatusOr<bool> PlainAttentionIsFaster(const SequenceTuner& tuner, const ExecutionPlan& plan,
                                            double traced_rows_a_stepped_row) {
  std::vector<Trial> steps = {{plan}, {plan}};
  steps[1].plan.plain_attention = true;
  std::vector<Trial> traces = steps;
  BIF_RETURN_IF_ERROR(Measure([&](const ExecutionPlan& trial) { return tuner.Step(trial); },
                              kAttentionBudget, steps));
  BIF_RETURN_IF_ERROR(Measure([&](const ExecutionPlan& trial) { return tuner.Trace(trial); },
                              kAttentionBudget, traces));
  const auto cost = [&](size_t i) {
    return steps[i].token_seconds + traced_rows_a_stepped_row * traces[i].token_seconds;
  };
  return cost(1) < kWorthIt * cost(0);
}

}  // namespace

absl::Status TuneSequences(const LoadedProgram& model, const SamplerSettings& settings,
                           const MovingSet& moving, const TorchRows& train, ExecutionPlan& plan) {
  BIF_ASSIGN_OR_RETURN(const WeightLayout layout,
                       WeightLayout::Of(model.program->info().parameters, moving));
  const int64_t batch = settings.batch_order == BatchOrder::kReplay
                            ? static_cast<int64_t>(settings.replay_batches[0].size())
                            : int64_t{settings.batch_size};
  const SequenceTuner tuner(model, layout, train, batch);

  plan.trace_batch_tokens = model.device.is_cpu() ? 2048 : kLeastDeviceTokens;
  const int64_t step_tokens = model.device.is_cpu() ? 1024 : kLeastDeviceTokens;
  plan.step_batch_rows = std::max<int64_t>(1, step_tokens / tuner.mean_tokens());
  if (model.program->attends()) {
    const double stepped_rows =
        std::max(1u, settings.steps_between_draws) * static_cast<double>(batch);
    BIF_ASSIGN_OR_RETURN(
        plan.plain_attention,
        PlainAttentionIsFaster(tuner, plan, static_cast<double>(train.rows()) / stepped_rows));
  }

  std::vector<Trial> traces;
  for (int64_t tokens = model.device.is_cpu() ? kLeastTokens : kLeastDeviceTokens;
       tokens <= TrialTokens(model.device); tokens *= 2) {
    traces.push_back({plan});
    traces.back().plan.trace_batch_tokens = tokens;
  }
  BIF_RETURN_IF_ERROR(Measure([&](const ExecutionPlan& trial) { return tuner.Trace(trial); },
                              kTraceBudget, traces));
  plan = Best(traces).plan;

  std::vector<Trial> steps;
  const int64_t least_step = model.device.is_cpu() ? kLeastStepTokens : kLeastDeviceTokens / 2;
  for (int64_t rows = std::clamp<int64_t>(least_step / tuner.mean_tokens(), 1, tuner.batch_rows());
       rows < 2 * tuner.batch_rows(); rows *= 2) {
    steps.push_back({plan});
    steps.back().plan.step_batch_rows = std::min(rows, tuner.batch_rows());
  }
  if (steps.empty()) steps.push_back({plan});
  BIF_RETURN_IF_ERROR(
      Measure([&](const ExecutionPlan& trial) { return tuner.Step(trial); }, kStepBudget, steps));
  plan.step_batch_rows = Best(steps).plan.step_batch_rows;

  // At least the rows of two calls, so that sorting them saves padding.
  const int64_t two_calls = 2 * plan.trace_batch_tokens / tuner.mean_tokens();
  const auto in_time =
      static_cast<int64_t>(absl::ToDoubleSeconds(kWindow) / Best(traces).token_seconds /
                           static_cast<double>(tuner.mean_tokens()));
  plan.trace_batch_rows =
      std::clamp<int64_t>(std::max(two_calls, in_time), 1,
                          model.device.is_cpu() ? kMostWindowRows : kMostDeviceWindowRows);
  return absl::OkStatus();
}

}  // namespace bif::engine
