// A short stretch of the chains that is traced at every step, to choose steps_between_draws (AUTO).
// Its steps are thrown away afterwards: chains go on from where burn-in ended, so the draws are
// those of a run that was told the number.
//
// Confined to the device thread.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "src/attribution/thinning.h"
#include "src/base/clock.h"
#include "src/engine/engine.h"

namespace bif::jobs {

class Pilot {
 public:
  static constexpr int64_t kSteps = 128;
  static constexpr int64_t kTracedRows = 64;
  static constexpr int64_t kLargestInterval = 200;

  // `subset`: RandomSlots' rows on the device, the only ones that are traced at every step. All
  // must outlive the pilot.
  Pilot(engine::Model& model, const engine::MovingSet& moving, const engine::ExecutionPlan& plan,
        const engine::ResidentRows& train, const engine::ResidentRows& subset, uint32_t chains,
        Clock& clock);

  bool done() const { return step_ == kSteps; }
  // One step of all chains.
  absl::Status Step(engine::ChainGroup& chains);
  // After the last step. `gradient_rows`: of a batch, for the cost ratio where the clock shows no
  // time.
  absl::StatusOr<attribution::ThinningChoice> Choose(int64_t gradient_rows);

 private:
  absl::Status ReadDeltas(engine::ChainGroup& chains);

  engine::Model& model_;
  const engine::MovingSet& moving_;
  const engine::ExecutionPlan plan_;
  const engine::ResidentRows& train_;
  const engine::ResidentRows& subset_;
  Clock& clock_;
  int64_t step_ = 0;
  std::vector<bool> diverged_;              // a chain
  std::vector<std::vector<float>> deltas_;  // a chain
  std::vector<std::vector<float>>
      losses_;                // [row][chain * kSteps + step]; row 0 is the sampling loss
  absl::Duration step_time_;  // of all steps
};

}  // namespace bif::jobs
