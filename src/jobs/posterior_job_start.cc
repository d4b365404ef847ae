// PosteriorJob's stages up to the first draw: load, tune, anchor, start, burn-in, pilot.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/memory.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"
#include "src/jobs/mean.h"
#include "src/jobs/posterior_checks.h"
#include "src/jobs/posterior_job.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/sampler_settings_record.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {

absl::Status PosteriorJob::Load() {
  Report("loading");
  record_.set_state(static_cast<uint32_t>(PosteriorState::kSampling));
  record_.clear_state_reason();
  BIF_RETURN_IF_ERROR(CommitRecord());
  BIF_ASSIGN_OR_RETURN(sources_, context_.checkpoints.GetSources(record_.checkpoint()));
  BIF_ASSIGN_OR_RETURN(moving_,
                       engine::SelectParameters(sources_.info.parameters, settings_.parameters));
  BIF_ASSIGN_OR_RETURN(train_, context_.models.GetTrainingRows(record_));
  BIF_ASSIGN_OR_RETURN(traces_, context_.traces.Get(record_.number(), record_.draws_committed()));
  stage_ = Stage::kTune;
  return absl::OkStatus();
}

absl::Status PosteriorJob::Tune() {
  const engine::EngineInfo& info = context_.engine.info();
  if (!record_.has_plan()) {
    Report("tuning");
    BIF_ASSIGN_OR_RETURN(plan_, train_.model->Tune(settings_, moving_, *train_.rows));
    *record_.mutable_plan() = ToRecord(plan_, info);
    record_.set_numerics(info.numerics);
    BIF_RETURN_IF_ERROR(CommitRecord());
  } else {
    plan_ = FromRecord(record_.plan());
    // Other numerics: the chains go on, but no longer bit-identically, and the record says so.
    if (record_.numerics().find(info.numerics) == std::string::npos) {
      record_.set_numerics(absl::StrCat(record_.numerics(), "; from draw ",
                                        record_.draws_committed(), " on: ", info.numerics));
    }
  }
  stage_ = Stage::kAnchor;
  return absl::OkStatus();
}

absl::Status PosteriorJob::Anchor() {
  const int64_t rows = train_.rows->rows();
  if (values_.empty()) {
    BIF_ASSIGN_OR_RETURN(const auto dataset,
                         context_.store.catalog().Get<storage::pb::DatasetRecord>(
                             storage::DatasetKey(record_.dataset())));
    const auto extent = context_.store.catalog().Get<storage::pb::TraceExtent>(
        storage::TraceExtentKey(record_.number(), kAnchorLossArray, dataset.number(), 0));
    if (extent.ok()) {
      stage_ = Stage::kStart;
      return absl::OkStatus();
    }
    if (!absl::IsNotFound(extent.status())) return extent.status();
    values_.resize(rows);
    traced_rows_ = 0;
  }
  const absl::Span<const float> anchor;  // empty: w* itself
  BIF_ASSIGN_OR_RETURN(const int64_t count,
                       ObserveRows({anchor}, static_cast<size_t>(traced_rows_)));
  traced_rows_ += count;
  context_.counters.training_rows_observed += count;
  return traced_rows_ < rows ? absl::OkStatus() : CommitAnchor();
}

absl::Status PosteriorJob::CommitAnchor() {
  for (size_t r = 0; r < values_.size(); ++r) {
    if (std::isfinite(values_[r])) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "the loss of training row ", r,
        " is not finite at the checkpoint itself; leave the row out, or mend the weights"));
  }
  BIF_ASSIGN_OR_RETURN(const auto dataset, context_.store.catalog().Get<storage::pb::DatasetRecord>(
                                               storage::DatasetKey(record_.dataset())));
  BIF_RETURN_IF_ERROR(
      context_.store.traces().Write({record_.number(), kAnchorLossArray, dataset.number()}, 0, 0,
                                    static_cast<uint32_t>(values_.size()), 0, 1, values_));
  record_.set_anchor_loss(Mean(values_));
  storage::WriteSet writes;
  writes.Put(storage::PosteriorKey(record_.key()), record_);
  PutTrainingExtents(record_, dataset.number(), writes);
  BIF_RETURN_IF_ERROR(context_.store.catalog().Commit(writes));
  committed_ = record_;
  values_.clear();
  stage_ = Stage::kStart;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<engine::ChainSnapshot>> PosteriorJob::ReadSnapshots() {
  const std::vector<uint32_t> active = ActiveChains(record_);
  if (active.empty()) return AllDiverged();
  if (record_.chains(static_cast<int>(active[0])).states().empty())
    return std::vector<engine::ChainSnapshot>{};
  std::vector<engine::ChainSnapshot> snapshots;
  for (int c = 0; c < record_.chains_size(); ++c) {
    // A diverged chain keeps its place in the group, so that the others' batches are what they
    // were; it walks along as a copy of another chain, and nobody looks at it.
    const auto& source = record_.chains(c).diverged() ? record_.chains(static_cast<int>(active[0]))
                                                      : record_.chains(c);
    BIF_ASSIGN_OR_RETURN(
        storage::DrawStore::State state,
        context_.store.draws().ReadState(record_.number(), *source.states().rbegin()));
    snapshots.push_back({static_cast<uint32_t>(c), state.step, std::move(state.weights),
                         std::move(state.second_moments)});
  }
  return snapshots;
}

absl::Status PosteriorJob::Start() {
  BIF_ASSIGN_OR_RETURN(const std::vector<engine::ChainSnapshot> snapshots, ReadSnapshots());
  chains_.reset();
  BIF_ASSIGN_OR_RETURN(chains_, train_.model->StartChains(settings_, moving_, plan_, *train_.rows,
                                                          0, settings_.chains, snapshots));
  loss_sums_.assign(settings_.chains, 0);
  loss_steps_ = 0;
  if (chains_->step() < settings_.burn_in_steps) {
    stage_ = Stage::kBurnIn;
    return absl::OkStatus();
  }
  if (record_.steps_between_draws() == 0) {
    stage_ = Stage::kPilot;
    return absl::OkStatus();
  }
  const int64_t rows = train_.rows->rows();
  const uint32_t draws = MaxSegmentDraws(
      context_.options, rows, settings_.chains,
      engine::EncodedDrawBytes(settings_.draw_codec, static_cast<uint64_t>(moving_.elements)));
  const uint32_t left =
      record_.draws_target() - std::min(record_.draws_target(), record_.draws_committed());
  ReleaseFreedMemory();  // of loading, tuning, and imports before it
  segment_ = std::make_unique<Segment>(settings_.chains, rows, std::max(1u, std::min(draws, left)));
  segment_start_ = run_start_ = context_.clock.Now();
  run_first_draw_ = record_.draws_committed();
  stage_ = AfterCommit();
  Report("sampling");
  return absl::OkStatus();
}

absl::Status PosteriorJob::BurnIn() {
  if (chains_->step() == 0) Report("burn-in");
  const uint64_t left = settings_.burn_in_steps - chains_->step();
  BIF_RETURN_IF_ERROR(AdvanceChains(left));
  BIF_RETURN_IF_ERROR(CheckTimeForADraw());
  if (ActiveChains(record_).empty()) {
    BIF_RETURN_IF_ERROR(CommitRecord());
    return AllDiverged();
  }
  if (chains_->step() < settings_.burn_in_steps) return absl::OkStatus();
  // The states are worth a commit: a resumed run, and the one after a pilot, begin here.
  Segment nothing(settings_.chains, 0, 0);
  record_.set_sampling_micros(record_.sampling_micros() +
                              absl::ToInt64Microseconds(sampling_time_));
  sampling_time_ = absl::ZeroDuration();
  BIF_RETURN_IF_ERROR(
      CommitSegment(context_, *operation_, nothing, *chains_, *traces_, {}, record_));
  committed_ = record_;
  stage_ = Stage::kStart;
  return absl::OkStatus();
}

absl::Status PosteriorJob::RunPilot() {
  if (pilot_ == nullptr) {
    Report("pilot");
    const std::vector<uint32_t> ordinals = Posteriors::TrainingOrdinals(record_);
    std::vector<uint32_t> subset;
    for (const uint32_t slot :
         RandomSlots(static_cast<int64_t>(ordinals.size()), Pilot::kTracedRows)) {
      subset.push_back(ordinals[slot]);
    }
    BIF_ASSIGN_OR_RETURN(const auto dataset,
                         context_.store.catalog().Get<storage::pb::DatasetRecord>(
                             storage::DatasetKey(record_.dataset())));
    BIF_ASSIGN_OR_RETURN(const SampleBatch batch,
                         context_.store.samples().Read(dataset.number(), subset));
    BIF_ASSIGN_OR_RETURN(pilot_rows_, train_.model->Upload(batch));
    pilot_ = std::make_unique<Pilot>(*train_.model, moving_, plan_, *train_.rows, *pilot_rows_,
                                     settings_.chains, context_.clock);
  }
  // The pilot's time is a part of what the draws cost.
  const absl::Time start = context_.clock.Now();
  if (!pilot_->done()) {
    BIF_RETURN_IF_ERROR(pilot_->Step(*chains_));
    sampling_time_ += context_.clock.Now() - start;
    return absl::OkStatus();
  }
  BIF_ASSIGN_OR_RETURN(const attribution::ThinningChoice choice,
                       pilot_->Choose(GradientRows(settings_)));
  sampling_time_ += context_.clock.Now() - start;
  record_.set_sampling_micros(record_.sampling_micros() +
                              absl::ToInt64Microseconds(sampling_time_));
  sampling_time_ = absl::ZeroDuration();
  record_.set_steps_between_draws(static_cast<uint32_t>(choice.steps_between_draws));
  BIF_RETURN_IF_ERROR(CommitRecord());
  pilot_.reset();
  pilot_rows_.reset();
  stage_ = Stage::kStart;  // from the end of burn-in again
  return absl::OkStatus();
}

}  // namespace bif::jobs
