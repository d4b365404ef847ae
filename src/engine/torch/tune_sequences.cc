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

constexpr absl::Duration kTraceBudget = absl::Milliseconds(700);
constexpr absl::Duration kStepBudget = absl::Milliseconds(900);
constexpr absl::Duration kWindow = absl::Milliseconds(60);  // what a query may have to wait for
constexpr int64_t kTrialTokens = 4096;
constexpr int64_t kLeastTokens = 512;  // of a call; at most kTrialTokens
constexpr int64_t kMostWindowRows = 1024;
constexpr double kWorthIt =
    0.97;  // the fused kernel and larger calls save memory or time elsewhere
constexpr double kNever = std::numeric_limits<double>::infinity();

// Alternatives of one choice, timed in turns, so that a slow moment of the machine hits all. What
// the time does not suffice for is not chosen.
struct Trial {
  ExecutionPlan plan;
  double seconds = kNever;  // the fastest
};

absl::Status Measure(absl::FunctionRef<absl::Status(const ExecutionPlan&)> run,
                     absl::Duration budget, std::vector<Trial>& trials) {
  const absl::Time deadline = absl::Now() + budget;
  BIF_RETURN_IF_ERROR(run(trials[0].plan));  // the first call allocates and loads kernels
  do {
    for (Trial& trial : trials) {
      const absl::Time start = absl::Now();
      if (start > deadline && trials[0].seconds < kNever) break;
      BIF_RETURN_IF_ERROR(run(trial.plan));
      trial.seconds = std::min(trial.seconds, absl::ToDoubleSeconds(absl::Now() - start));
    }
  } while (absl::Now() < deadline);
  return absl::OkStatus();
}

// The fastest; an earlier trial counts as good unless a later one wins by 3 %.
const Trial& Best(const std::vector<Trial>& trials) {
  const Trial* best = &trials[0];
  for (const Trial& trial : trials) {
    if (trial.seconds < kWorthIt * best->seconds) best = &trial;
  }
  return *best;
}

class SequenceTuner {
 public:
  SequenceTuner(const LoadedProgram& model, const WeightLayout& layout, const TorchRows& train,
                int64_t step_rows)
      : model_(model),
        layout_(layout),
        train_(train),
        weights_(layout.Row(model.anchor).unsqueeze(0)) {
    int64_t tokens = 0;
    for (; trial_rows_ < train.rows() && tokens < kTrialTokens; ++trial_rows_)
      tokens += train.token_losses(trial_rows_);
    mean_tokens_ = std::max<int64_t>(1, tokens / trial_rows_);
    step_rows_ = std::min(step_rows, trial_rows_);
    positions_.resize(static_cast<size_t>(step_rows_));
    std::iota(positions_.begin(), positions_.end(), 0u);
  }

  int64_t mean_tokens() const { return mean_tokens_; }
  int64_t trial_rows() const { return trial_rows_; }
  int64_t step_rows() const { return step_rows_; }

  absl::Status Trace(const ExecutionPlan& plan) const {
    const AttentionPath attention(plan.plain_attention);
    const at::NoGradGuard no_grad;
    ExecutionPlan one_window = plan;
    one_window.trace_batch_rows = trial_rows_;
    std::vector<float> values(static_cast<size_t>(trial_rows_));
    return EvaluateRows(model_, model_.anchor, train_, 0, trial_rows_, Observable{}, one_window,
                        absl::MakeSpan(values));
  }

  absl::Status Step(const ExecutionPlan& plan) const {
    const AttentionPath attention(plan.plain_attention);
    const GradientSource source(model_, layout_, weights_, plan);
    return source.At(train_, positions_).status();
  }

 private:
  const LoadedProgram& model_;
  const WeightLayout& layout_;
  const TorchRows& train_;
  const at::Tensor weights_;
  int64_t trial_rows_ = 0, step_rows_ = 0, mean_tokens_ = 0;
  std::vector<uint32_t> positions_;
};

// The fused kernel first: where both are as fast, it takes less memory.
std::vector<Trial> BothAttentions(const ExecutionPlan& plan, bool attends) {
  std::vector<Trial> trials = {{plan}};
  if (!attends) return trials;
  trials.push_back({plan});
  trials[0].plan.plain_attention = false;
  trials[1].plan.plain_attention = true;
  return trials;
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
  const auto trace = [&](const ExecutionPlan& trial) { return tuner.Trace(trial); };
  const auto step = [&](const ExecutionPlan& trial) { return tuner.Step(trial); };

  // Attention by what a draw costs: its steps, and the traces of all training rows.
  plan.trace_batch_tokens = 2048;
  plan.step_batch_rows = std::max<int64_t>(1, 1024 / tuner.mean_tokens());
  std::vector<Trial> steps = BothAttentions(plan, model.program->attends());
  std::vector<Trial> traces = steps;
  if (steps.size() > 1) {
    BIF_RETURN_IF_ERROR(Measure(step, kStepBudget / 3, steps));
    BIF_RETURN_IF_ERROR(Measure(trace, kTraceBudget / 3, traces));
    const double steps_a_draw = std::max(1u, settings.steps_between_draws);
    for (size_t i = 0; i < steps.size(); ++i) {
      steps[i].seconds *=
          steps_a_draw * static_cast<double>(batch) / static_cast<double>(tuner.step_rows());
      steps[i].seconds += traces[i].seconds * static_cast<double>(train.rows()) /
                          static_cast<double>(tuner.trial_rows());
    }
  }
  plan = Best(steps).plan;

  traces.clear();
  for (int64_t tokens = kLeastTokens; tokens <= kTrialTokens; tokens *= 2) {
    traces.push_back({plan});
    traces.back().plan.trace_batch_tokens = tokens;
  }
  BIF_RETURN_IF_ERROR(Measure(trace, kTraceBudget / 2, traces));
  plan = Best(traces).plan;
  const double row_seconds = Best(traces).seconds / static_cast<double>(tuner.trial_rows());

  steps.clear();
  for (int64_t rows = std::max<int64_t>(1, kLeastTokens / 2 / tuner.mean_tokens());
       rows < 2 * tuner.step_rows(); rows *= 2) {
    steps.push_back({plan});
    steps.back().plan.step_batch_rows = rows;
  }
  if (steps.empty()) steps.push_back({plan});
  BIF_RETURN_IF_ERROR(Measure(step, kStepBudget / 2, steps));
  plan.step_batch_rows = Best(steps).plan.step_batch_rows;

  // At least the rows of two calls, so that sorting them saves padding.
  const int64_t two_calls = 2 * plan.trace_batch_tokens / tuner.mean_tokens();
  const auto in_time = static_cast<int64_t>(absl::ToDoubleSeconds(kWindow) / row_seconds);
  plan.trace_batch_rows = std::clamp<int64_t>(std::max(two_calls, in_time), 1, kMostWindowRows);
  return absl::OkStatus();
}

}  // namespace bif::engine
