// One run of a posterior: from where its record stands to its target number of draws, as a task of
// the device thread.
//
//   load -> tune -> anchor -> start -> burn-in -> [pilot -> start]
//     -> ((advance -> trace)* -> carry -> commit -> [look])* -> [tokens] -> done
//
// Every stage begins from what the catalog says, so the same code makes a first run, goes on after
// a crash or a cancelled run, and extends. What changes rounding or draws is recorded before it is
// used: the execution plan, and the interval that AUTO chose. Burn-in ends with a commit of the
// chain states, every segment with one of its draws, before which rows that were traced in the
// meantime are evaluated at these draws too (src/jobs/carried_rows.h). Where the losses of tokens
// are wanted, a last stage evaluates the training rows' at the stored draws, a few rows a commit.
//
// A run towards a target (src/jobs/stopping.h) ends its segments at check points, looks at what is
// committed then, and commits what it decides before it goes on.
//
// Confined to the device thread but for `cancelled`, which is thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/jobs/carried_rows.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/pace.h"
#include "src/jobs/pilot.h"
#include "src/jobs/posterior_context.h"
#include "src/jobs/row_tracer.h"
#include "src/jobs/segment.h"
#include "src/jobs/target_check.h"

namespace bif::jobs {

class PosteriorJob : public DeviceTask {
 public:
  // `ended` is called when the operation has ended, and not when the job is abandoned.
  PosteriorJob(const PosteriorContext& context, std::shared_ptr<RunningOperation> operation,
               storage::pb::PosteriorRecord record, std::function<void()> ended);

  Outcome Step() override;
  void Abandon(const absl::Status& why) override;
  bool cancelled() const override { return operation_->cancel().cancelled(); }

 private:
  enum class Stage {
    kLoad,
    kTune,
    kAnchor,
    kStart,
    kBurnIn,
    kPilot,
    kAdvance,
    kTrace,
    kCarry,
    kLook,
    kTokens,
    kDone
  };

  // Each does a piece of its stage and sets the next one.
  absl::Status StepStage();
  absl::Status Load();
  absl::Status Tune();
  absl::Status Anchor();
  absl::Status CommitAnchor();
  absl::Status Start();
  absl::Status BurnIn();
  absl::Status RunPilot();
  absl::Status Advance();
  absl::Status EncodeDraw();
  absl::Status Trace();
  absl::Status FinishDraw();
  absl::Status Carry();
  absl::Status Look();
  absl::Status TraceTokens();

  // Of a run towards a target.
  bool TimeIsUp() const;
  bool IsLookDueAt(uint32_t draws) const;  // once so many are committed
  absl::Status CheckTimeForADraw() const;
  absl::StatusOr<bool> TracePilot();  // true: the pilot queries have traces
  absl::Status Decide(const absl::StatusOr<attribution::PilotReport>& report);

  absl::StatusOr<std::vector<engine::ChainSnapshot>> ReadSnapshots();
  // At most `steps`, as the pace allows.
  absl::Status AdvanceChains(uint64_t steps);
  // The observable of some rows from traced_rows_ on, as the pace allows, into values_ at `offset`;
  // gives their number.
  absl::StatusOr<int64_t> ObserveRows(absl::Span<const absl::Span<const float>> deltas,
                                      size_t offset);
  void MarkDiverged(uint32_t chain, const std::string& reason);
  // The draws in memory are to be committed: after the rows that are carried along, if there are
  // any.
  void CloseSegment() { stage_ = Stage::kCarry; }
  absl::Status CommitSegmentNow();
  absl::Status CommitRecord();
  // Everything between two draws is done, so that the run may stop here.
  bool AtDrawBoundary() const;
  Stage AfterCommit() const;
  PosteriorView StoredView() const;
  // The stage after the last draw.
  Stage Last() const { return record_.token_traces() ? Stage::kTokens : Stage::kDone; }
  // Draws that a commit would keep are in memory.
  bool HoldsDraws() const { return segment_ != nullptr && segment_->draws() > 0; }
  void End(const absl::Status& status);
  void Report(const std::string& stage);
  uint64_t StepOfDraw(uint32_t draw) const;  // the step after which draw `draw` is taken
  absl::Status AllDiverged() const;
  double DivergenceLimit() const;

  const PosteriorContext context_;
  const std::shared_ptr<RunningOperation> operation_;
  const std::function<void()> ended_;
  const engine::SamplerSettings settings_;
  storage::pb::PosteriorRecord committed_;  // as the catalog has it
  storage::pb::PosteriorRecord record_;     // with what the segment in memory will add
  double ess_bulk_ = 0;                     // of what this run has committed so far

  Stage stage_ = Stage::kLoad;
  Pace steps_at_once_{4, 32};
  Pace rows_at_once_{2048, 65536};
  std::optional<absl::Time> cancel_seen_;
  // In order of dependence: the chains are freed before the rows, and those before the model.
  Checkpoints::Sources sources_;
  engine::MovingSet moving_;
  engine::ExecutionPlan plan_;
  ModelCache::TrainingRows train_;
  std::unique_ptr<engine::ResidentRows> pilot_rows_;
  std::unique_ptr<Pilot> pilot_;
  std::unique_ptr<engine::ChainGroup> chains_;
  std::unique_ptr<Segment> segment_;
  std::shared_ptr<PosteriorTraces> traces_;
  std::unique_ptr<CarriedRows> carried_;  // of the segment that is being closed
  std::unique_ptr<RowTracer> pilot_tracer_;
  std::unique_ptr<TargetCheck> look_;
  DrawReader stored_draws_;  // for the pilot queries and the tokens
  std::unique_ptr<RowTracer> tokens_;

  // The draw in the making.
  std::vector<double> loss_sums_;  // a chain: of batch losses since the draw before
  uint64_t loss_steps_ = 0;
  std::vector<uint32_t> tracing_;           // the chains that have not diverged
  std::vector<std::vector<float>> deltas_;  // as stored, one for each of tracing_
  int64_t traced_rows_ = 0;
  std::vector<float> values_;  // of the anchor, or of one call

  absl::Time segment_start_;
  absl::Time run_start_;
  uint32_t run_first_draw_ = 0;
  absl::Duration sampling_time_;  // of the segment in memory
};

}  // namespace bif::jobs
