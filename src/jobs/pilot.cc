#include "src/jobs/pilot.h"

#include <algorithm>

#include "src/base/status.h"

namespace bif::jobs {

Pilot::Pilot(engine::Model& model, const engine::MovingSet& moving,
             const engine::ExecutionPlan& plan, const engine::ResidentRows& train,
             const engine::ResidentRows& subset, uint32_t chains, Clock& clock)
    : model_(model),
      moving_(moving),
      plan_(plan),
      train_(train),
      subset_(subset),
      clock_(clock),
      diverged_(chains, false),
      deltas_(chains, std::vector<float>(moving.elements)),
      losses_(1 + subset.rows(), std::vector<float>(chains * kSteps)) {}

absl::Status Pilot::ReadDeltas(engine::ChainGroup& chains) {
  for (size_t c = 0; c < deltas_.size(); ++c) {
    if (diverged_[c]) {
      std::fill(deltas_[c].begin(), deltas_[c].end(), 0.0f);
    } else {
      BIF_RETURN_IF_ERROR(chains.ReadDelta(c, absl::MakeSpan(deltas_[c])));
    }
  }
  return absl::OkStatus();
}

absl::Status Pilot::Step(engine::ChainGroup& chains) {
  const absl::Time start = clock_.Now();
  BIF_ASSIGN_OR_RETURN(const std::vector<engine::ChainReport> reports, chains.Advance(1));
  step_time_ += clock_.Now() - start;
  for (size_t c = 0; c < deltas_.size(); ++c) {
    diverged_[c] = diverged_[c] || reports[c].diverged;
    losses_[0][c * kSteps + step_] = static_cast<float>(reports[c].mean_loss);
  }
  BIF_RETURN_IF_ERROR(ReadDeltas(chains));
  const std::vector<absl::Span<const float>> spans(deltas_.begin(), deltas_.end());
  std::vector<float> values(spans.size() * subset_.rows());
  BIF_RETURN_IF_ERROR(model_.Observe(moving_, spans, subset_, 0, subset_.rows(),
                                     engine::Observable{}, plan_, absl::MakeSpan(values)));
  for (size_t c = 0; c < spans.size(); ++c) {
    for (int64_t r = 0; r < subset_.rows(); ++r)
      losses_[1 + r][c * kSteps + step_] = values[c * subset_.rows() + r];
  }
  ++step_;
  return absl::OkStatus();
}

absl::StatusOr<attribution::ThinningChoice> Pilot::Choose(int64_t gradient_rows) {
  std::vector<size_t> active;
  for (size_t c = 0; c < diverged_.size(); ++c) {
    if (!diverged_[c]) active.push_back(c);
  }
  if (active.empty()) return attribution::ThinningChoice{};  // the run itself will say so

  std::vector<float> traces;
  for (const std::vector<float>& row : losses_) {
    for (const size_t c : active)
      traces.insert(traces.end(), row.begin() + c * kSteps, row.begin() + (c + 1) * kSteps);
  }
  const std::vector<absl::Span<const float>> spans(deltas_.begin(), deltas_.end());
  std::vector<float> values(spans.size() * train_.rows());
  const absl::Time start = clock_.Now();
  BIF_RETURN_IF_ERROR(model_.Observe(moving_, spans, train_, 0, train_.rows(), engine::Observable{},
                                     plan_, absl::MakeSpan(values)));
  const double trace_seconds = absl::ToDoubleSeconds(clock_.Now() - start);
  const double step_seconds = absl::ToDoubleSeconds(step_time_) / static_cast<double>(kSteps);
  // Where the clock shows nothing, count forward passes: a gradient costs about three.
  const double cost_ratio =
      step_seconds > 0 && trace_seconds > 0
          ? trace_seconds / step_seconds
          : static_cast<double>(train_.rows()) / (3.0 * static_cast<double>(gradient_rows));
  return attribution::ChooseThinning(static_cast<int64_t>(active.size()), kSteps, traces,
                                     cost_ratio, kLargestInterval);
}

}  // namespace bif::jobs
