#include "src/jobs/posterior_job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/attribution/convergence.h"
#include "src/base/catch_exceptions.h"
#include "src/base/memory.h"
#include "src/base/status.h"
#include "src/jobs/posterior_checks.h"
#include "src/jobs/posterior_diagnostics.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/sampler_settings_record.h"

namespace bif::jobs {
namespace {

// A cancelled or draining run finishes the draw in the making, if that takes no longer.
constexpr absl::Duration kLastDrawTime = absl::Seconds(5);
// Of the committed draws, by the sampling loss. 0 where there are too few to tell.
double EffectiveDraws(const storage::pb::PosteriorRecord& record) {
  const auto active = static_cast<int64_t>(ActiveChains(record).size());
  if (record.draws_committed() < kFewestDiagnosedDraws || active == 0) return 0;
  return attribution::BulkEss(active, record.draws_committed(), SamplingLosses(record));
}

constexpr int64_t kStoredDrawBytes = int64_t{64} << 20;  // decoded, to trace tokens at

}  // namespace

PosteriorJob::PosteriorJob(const PosteriorContext& context,
                           std::shared_ptr<RunningOperation> operation,
                           storage::pb::PosteriorRecord record, std::function<void()> ended)
    : context_(context),
      operation_(std::move(operation)),
      ended_(std::move(ended)),
      settings_(FromRecord(record.settings())),
      committed_(std::move(record)),
      record_(committed_),
      ess_bulk_(EffectiveDraws(record_)),
      stored_draws_(context.store, nullptr, context.counters, kStoredDrawBytes) {}

DeviceTask::Outcome PosteriorJob::Step() {
  if (cancelled()) {
    if (!cancel_seen_) cancel_seen_ = context_.clock.Now();
    const bool waited = context_.clock.Now() - *cancel_seen_ > kLastDrawTime;
    if (waited || (AtDrawBoundary() && !HoldsDraws())) {
      End(absl::CancelledError("the operation was cancelled; what was committed is kept"));
      return Outcome::kDone;
    }
    if (AtDrawBoundary()) CloseSegment();
  }
  // What escapes here would end the daemon, and after every restart again, with the same operation.
  const absl::Status status = CatchExceptions([this] { return StepStage(); });
  if (!status.ok() || stage_ == Stage::kDone) {
    End(status);
    return Outcome::kDone;
  }
  return Outcome::kMore;
}

void PosteriorJob::Abandon(const absl::Status&) {
  const absl::Time start = context_.clock.Now();
  absl::Status status;
  // What cannot be kept is sampled again after the restart.
  while (status.ok() && (!AtDrawBoundary() || HoldsDraws()) &&
         context_.clock.Now() - start < kLastDrawTime) {
    if (AtDrawBoundary()) CloseSegment();
    status = CatchExceptions([this] { return StepStage(); });
  }
}

bool PosteriorJob::AtDrawBoundary() const {
  if (stage_ == Stage::kTrace || stage_ == Stage::kCarry) return false;
  return stage_ != Stage::kAdvance || loss_steps_ == 0;
}

absl::Status PosteriorJob::StepStage() {
  switch (stage_) {
    case Stage::kLoad:
      return Load();
    case Stage::kTune:
      return Tune();
    case Stage::kAnchor:
      return Anchor();
    case Stage::kStart:
      return Start();
    case Stage::kBurnIn:
      return BurnIn();
    case Stage::kPilot:
      return RunPilot();
    case Stage::kAdvance:
      return Advance();
    case Stage::kTrace:
      return Trace();
    case Stage::kCarry:
      return Carry();
    case Stage::kLook:
      return Look();
    case Stage::kTokens:
      return TraceTokens();
    case Stage::kDone:
      break;
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> PosteriorJob::ObserveRows(absl::Span<const absl::Span<const float>> deltas,
                                                  size_t offset) {
  // A multiple of the plan's batch, so that batches, and with them rounding, do not depend on the
  // cut.
  const int64_t batch = std::max<int64_t>(1, plan_.trace_batch_rows);
  const int64_t wanted = std::max<int64_t>(1, rows_at_once_.amount() / batch) * batch;
  const int64_t count = std::min(train_.rows->rows() - traced_rows_, wanted);
  const size_t values = deltas.size() * static_cast<size_t>(count);
  values_.resize(std::max(values_.size(), offset + values));
  const absl::Time start = context_.clock.Now();
  BIF_RETURN_IF_ERROR(train_.model->Observe(moving_, deltas, *train_.rows, traced_rows_, count,
                                            engine::Observable{}, plan_,
                                            absl::MakeSpan(values_).subspan(offset, values)));
  if (count == wanted) rows_at_once_.Took(context_.clock.Now() - start);
  return count;
}

absl::Status PosteriorJob::AdvanceChains(uint64_t wanted) {
  const auto at_once = static_cast<uint64_t>(steps_at_once_.amount());
  const uint64_t steps = std::min(wanted, at_once);
  const absl::Time start = context_.clock.Now();
  BIF_ASSIGN_OR_RETURN(const std::vector<engine::ChainReport> reports, chains_->Advance(steps));
  const absl::Duration time = context_.clock.Now() - start;
  if (steps == at_once) steps_at_once_.Took(time);
  sampling_time_ += time;
  context_.speeds.AddGradients(
      record_.checkpoint(),
      static_cast<int64_t>(steps * settings_.chains) * GradientRows(settings_), time);
  context_.counters.sampling_steps += steps * settings_.chains;
  for (const engine::ChainReport& report : reports) {
    if (report.diverged) MarkDiverged(report.chain, report.reason);
    loss_sums_[report.chain] += report.mean_loss * static_cast<double>(steps);
  }
  loss_steps_ += steps;
  return absl::OkStatus();
}

uint64_t PosteriorJob::StepOfDraw(uint32_t draw) const {
  return settings_.burn_in_steps + (uint64_t{draw} + 1) * record_.steps_between_draws();
}

absl::Status PosteriorJob::CommitSegmentNow() {
  record_.set_sampling_micros(record_.sampling_micros() +
                              absl::ToInt64Microseconds(sampling_time_));
  BIF_RETURN_IF_ERROR(CommitSegment(context_, *operation_, *segment_, *chains_, *traces_,
                                    carried_->grown(), record_));
  committed_ = record_;
  ess_bulk_ = EffectiveDraws(record_);
  carried_.reset();
  segment_->Clear();
  ReleaseFreedMemory();
  sampling_time_ = absl::ZeroDuration();
  segment_start_ = context_.clock.Now();
  return absl::OkStatus();
}

absl::Status PosteriorJob::CommitRecord() {
  storage::WriteSet writes;
  writes.Put(storage::PosteriorKey(record_.key()), record_);
  operation_->AddTo(writes);
  BIF_RETURN_IF_ERROR(context_.store.catalog().Commit(writes));
  committed_ = record_;
  return absl::OkStatus();
}

void PosteriorJob::MarkDiverged(uint32_t chain, const std::string& reason) {
  auto& record = *record_.mutable_chains(static_cast<int>(chain));
  if (record.diverged()) return;
  record.set_diverged(true);
  record.set_reason(reason);
  ++context_.counters.chains_diverged;
}

absl::Status PosteriorJob::AllDiverged() const {
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "all ", record_.chains_size(), " chains diverged (",
                        DivergenceSummary(record_), "): lower step_size, or raise gamma")),
                    "ALL_CHAINS_DIVERGED");
}

void PosteriorJob::Report(const std::string& stage) {
  OperationProgress progress = operation_->progress();
  progress.stage = stage;
  const uint32_t draws = record_.draws_committed() + (segment_ == nullptr ? 0 : segment_->draws());
  progress.draws_done = draws * settings_.chains;
  progress.draws_total = record_.draws_target() * settings_.chains;
  if (record_.has_stop()) {
    progress.stopping = FromRecord(record_.stop());
    const int64_t predicted = progress.stopping->predicted_draws;
    if (predicted > 0) {
      // It may be wrong by as much as it takes to the next look.
      progress.draws_total =
          static_cast<uint32_t>(std::clamp<int64_t>(predicted, draws, record_.draws_target())) *
          settings_.chains;
    }
  }
  progress.chains_diverged = settings_.chains - static_cast<uint32_t>(ActiveChains(record_).size());
  progress.ess_bulk = ess_bulk_;
  progress.rows = TrainingRowCount(record_) + (carried_ == nullptr ? 0 : carried_->rows());
  const double seconds = absl::ToDoubleSeconds(context_.clock.Now() - run_start_);
  if (segment_ != nullptr && draws > run_first_draw_ && seconds > 0) {
    progress.draws_per_second = (draws - run_first_draw_) * settings_.chains / seconds;
    progress.remaining =
        absl::Seconds((progress.draws_total - progress.draws_done) / progress.draws_per_second);
  }
  operation_->Report(progress);
}

void PosteriorJob::End(const absl::Status& status) {
  // A run that failed keeps what is committed, and forgets what was in memory only.
  storage::pb::PosteriorRecord final = committed_;
  if (status.ok()) {
    final.set_state(static_cast<uint32_t>(PosteriorState::kReady));
    const std::string diverged = DivergenceSummary(final);
    if (!diverged.empty()) {
      final.set_state_reason(absl::StrCat(final.chains_size() - ActiveChains(final).size(), " of ",
                                          final.chains_size(),
                                          " chains diverged and are left out: ", diverged));
    }
  } else {
    final.set_state(static_cast<uint32_t>(absl::IsCancelled(status) ? PosteriorState::kCancelled
                                                                    : PosteriorState::kFailed));
    final.set_state_reason(std::string(status.message()));
    if (!absl::IsCancelled(status)) ++context_.counters.operations_failed;
  }
  storage::WriteSet writes;
  writes.Put(storage::PosteriorKey(final.key()), final);
  chains_.reset();
  carried_.reset();
  segment_.reset();
  tokens_.reset();
  pilot_tracer_.reset();
  look_.reset();
  operation_->Finish(status, OperationResult{}, std::move(writes));
  ended_();
}

}  // namespace bif::jobs
