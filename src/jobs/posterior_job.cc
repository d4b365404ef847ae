#include "src/jobs/posterior_job.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"
#include "src/jobs/posterior_checks.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/sampler_settings_record.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

// A cancelled or draining run finishes the draw in the making, if that takes no longer.
constexpr absl::Duration kLastDrawTime = absl::Seconds(5);

double Norm(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

double Mean(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

PosteriorJob::PosteriorJob(const PosteriorContext& context,
                           std::shared_ptr<RunningOperation> operation,
                           storage::pb::PosteriorRecord record, std::function<void()> ended)
    : context_(context),
      operation_(std::move(operation)),
      ended_(std::move(ended)),
      settings_(FromRecord(record.settings())),
      committed_(std::move(record)),
      record_(committed_) {}

DeviceTask::Outcome PosteriorJob::Step() {
  if (cancelled()) {
    if (!cancel_seen_) cancel_seen_ = context_.clock.Now();
    const bool waited = context_.clock.Now() - *cancel_seen_ > kLastDrawTime;
    if (AtDrawBoundary() || waited) {
      absl::Status kept;
      if (segment_ != nullptr && segment_->draws() > 0 && AtDrawBoundary())
        kept = CommitSegmentNow();
      End(kept.ok() ? absl::CancelledError("the operation was cancelled; what was sampled is kept")
                    : kept);
      return Outcome::kDone;
    }
  }
  const absl::Status status = StepStage();
  if (!status.ok() || stage_ == Stage::kDone) {
    End(status);
    return Outcome::kDone;
  }
  return Outcome::kMore;
}

void PosteriorJob::Abandon(const absl::Status&) {
  const absl::Time start = context_.clock.Now();
  absl::Status status;
  while (status.ok() && !AtDrawBoundary() && context_.clock.Now() - start < kLastDrawTime)
    status = StepStage();
  // What cannot be kept is sampled again after the restart.
  if (status.ok() && AtDrawBoundary() && segment_ != nullptr && segment_->draws() > 0)
    (void)CommitSegmentNow();
}

bool PosteriorJob::AtDrawBoundary() const {
  if (stage_ == Stage::kTrace) return false;
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
    case Stage::kDone:
      break;
  }
  return absl::OkStatus();
}

absl::Status PosteriorJob::Load() {
  Report("loading");
  record_.set_state(static_cast<uint32_t>(PosteriorState::kSampling));
  record_.clear_state_reason();
  BIF_RETURN_IF_ERROR(CommitRecord());
  BIF_ASSIGN_OR_RETURN(sources_, context_.checkpoints.GetSources(record_.checkpoint()));
  BIF_ASSIGN_OR_RETURN(moving_,
                       engine::SelectParameters(sources_.info.parameters, settings_.parameters));
  BIF_ASSIGN_OR_RETURN(train_, context_.models.GetTrainingRows(record_));
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
  segment_ = std::make_unique<Segment>(settings_.chains, rows, std::max(1u, std::min(draws, left)));
  segment_start_ = run_start_ = context_.clock.Now();
  run_first_draw_ = record_.draws_committed();
  stage_ = left > 0 ? Stage::kAdvance : Stage::kDone;
  Report("sampling");
  return absl::OkStatus();
}

absl::Status PosteriorJob::AdvanceChains(uint64_t wanted) {
  const auto at_once = static_cast<uint64_t>(steps_at_once_.amount());
  const uint64_t steps = std::min(wanted, at_once);
  const absl::Time start = context_.clock.Now();
  BIF_ASSIGN_OR_RETURN(const std::vector<engine::ChainReport> reports, chains_->Advance(steps));
  const absl::Duration time = context_.clock.Now() - start;
  if (steps == at_once) steps_at_once_.Took(time);
  sampling_time_ += time;
  const int64_t batch_rows = settings_.batch_order == engine::BatchOrder::kReplay
                                 ? static_cast<int64_t>(settings_.replay_batches[0].size())
                                 : settings_.batch_size;
  context_.speeds.AddGradients(record_.checkpoint(),
                               static_cast<int64_t>(steps * settings_.chains) * batch_rows, time);
  context_.counters.sampling_steps += steps * settings_.chains;
  for (const engine::ChainReport& report : reports) {
    if (report.diverged) MarkDiverged(report.chain, report.reason);
    loss_sums_[report.chain] += report.mean_loss * static_cast<double>(steps);
  }
  loss_steps_ += steps;
  return absl::OkStatus();
}

absl::Status PosteriorJob::BurnIn() {
  if (chains_->step() == 0) Report("burn-in");
  const uint64_t left = settings_.burn_in_steps - chains_->step();
  BIF_RETURN_IF_ERROR(AdvanceChains(left));
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
  BIF_RETURN_IF_ERROR(CommitSegment(context_, *operation_, nothing, *chains_, record_));
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
  if (!pilot_->done()) return pilot_->Step(*chains_);
  const int64_t batch_rows = settings_.batch_order == engine::BatchOrder::kReplay
                                 ? static_cast<int64_t>(settings_.replay_batches[0].size())
                                 : settings_.batch_size;
  BIF_ASSIGN_OR_RETURN(const attribution::ThinningChoice choice, pilot_->Choose(batch_rows));
  record_.set_steps_between_draws(static_cast<uint32_t>(choice.steps_between_draws));
  BIF_RETURN_IF_ERROR(CommitRecord());
  pilot_.reset();
  pilot_rows_.reset();
  stage_ = Stage::kStart;  // from the end of burn-in again
  return absl::OkStatus();
}

uint64_t PosteriorJob::StepOfDraw(uint32_t draw) const {
  return settings_.burn_in_steps + (uint64_t{draw} + 1) * record_.steps_between_draws();
}

absl::Status PosteriorJob::Advance() {
  const uint64_t target = StepOfDraw(record_.draws_committed() + segment_->draws());
  if (chains_->step() < target) BIF_RETURN_IF_ERROR(AdvanceChains(target - chains_->step()));
  return chains_->step() < target ? absl::OkStatus() : EncodeDraw();
}

// The weights are quantised first, and all that follows sees them as they are stored.
absl::Status PosteriorJob::EncodeDraw() {
  tracing_.clear();
  const std::vector<uint32_t> active = ActiveChains(record_);
  deltas_.resize(active.size());
  std::vector<float> exact(moving_.elements);
  for (const uint32_t c : active) {
    BIF_RETURN_IF_ERROR(chains_->ReadDelta(c, absl::MakeSpan(exact)));
    absl::StatusOr<std::string> payload = engine::EncodeDraw(settings_.draw_codec, exact);
    if (!payload.ok()) {
      MarkDiverged(c, std::string(payload.status().message()));
      continue;
    }
    std::vector<float>& stored = deltas_[tracing_.size()];
    stored.resize(exact.size());
    BIF_RETURN_IF_ERROR(engine::DecodeDraw(settings_.draw_codec, *payload, absl::MakeSpan(stored)));
    segment_->chain(c).draws.push_back(
        {static_cast<uint8_t>(settings_.draw_codec), exact.size(), *std::move(payload)});
    tracing_.push_back(c);
  }
  deltas_.resize(tracing_.size());
  traced_rows_ = 0;
  stage_ = Stage::kTrace;
  return tracing_.empty() ? FinishDraw() : absl::OkStatus();
}

absl::Status PosteriorJob::Trace() {
  const absl::Time start = context_.clock.Now();
  const int64_t rows = train_.rows->rows();
  const std::vector<absl::Span<const float>> deltas(deltas_.begin(), deltas_.end());
  BIF_ASSIGN_OR_RETURN(const int64_t count, ObserveRows(deltas, 0));
  for (size_t i = 0; i < tracing_.size(); ++i) {
    const absl::Span<float> row = segment_->Traces(tracing_[i], segment_->draws());
    std::copy_n(values_.begin() + i * count, count, row.begin() + traced_rows_);
  }
  traced_rows_ += count;
  const absl::Duration time = context_.clock.Now() - start;
  sampling_time_ += time;
  const int64_t observed = count * static_cast<int64_t>(tracing_.size());
  context_.speeds.AddForwards(record_.checkpoint(), observed, time);
  context_.counters.training_rows_observed += observed;
  return traced_rows_ < rows ? absl::OkStatus() : FinishDraw();
}

// Beyond it, a chain has left the basin that it was to describe, though its numbers are finite
// still. For classifiers ten times the loss of guessing; elsewhere there is no such scale, so only
// what is off by orders of magnitude counts.
double PosteriorJob::DivergenceLimit() const {
  const double anchor = record_.anchor_loss();
  if (sources_.program_source.loss == engine::LossKind::kCrossEntropy &&
      sources_.info.classes > 1) {
    return 10 * std::max(anchor, std::log(static_cast<double>(sources_.info.classes)));
  }
  return anchor + 1000 * (1 + std::abs(anchor));
}

absl::Status PosteriorJob::FinishDraw() {
  for (size_t i = 0; i < tracing_.size(); ++i) {
    const uint32_t c = tracing_[i];
    Segment::Chain& chain = segment_->chain(c);
    const double mean = Mean(segment_->Traces(c, segment_->draws()));
    if (!std::isfinite(mean) || mean > DivergenceLimit()) {
      MarkDiverged(
          c, absl::StrCat("the mean training loss was ", mean, " after step ", chains_->step(),
                          ", from ", record_.anchor_loss(), " at the checkpoint"));
      chain.draws.pop_back();
      continue;
    }
    chain.sampling_loss.push_back(
        static_cast<float>(loss_sums_[c] / static_cast<double>(loss_steps_)));
    chain.distance.push_back(static_cast<float>(Norm(deltas_[i])));
    chain.mean_trace_loss.push_back(static_cast<float>(mean));
  }
  std::fill(loss_sums_.begin(), loss_sums_.end(), 0);
  loss_steps_ = 0;
  stage_ = Stage::kAdvance;
  const bool all_diverged = ActiveChains(record_).empty();
  if (!all_diverged) segment_->FinishDraw();
  Report("sampling");

  const bool reached = record_.draws_committed() + segment_->draws() >= record_.draws_target();
  const bool full = segment_->draws() == segment_->max_draws() ||
                    context_.clock.Now() - segment_start_ >= context_.options.segment_time;
  if (!reached && !full && !all_diverged) return absl::OkStatus();
  BIF_RETURN_IF_ERROR(CommitSegmentNow());
  if (all_diverged) return AllDiverged();
  if (reached) stage_ = Stage::kDone;
  return absl::OkStatus();
}

absl::Status PosteriorJob::CommitSegmentNow() {
  record_.set_sampling_micros(record_.sampling_micros() +
                              absl::ToInt64Microseconds(sampling_time_));
  BIF_RETURN_IF_ERROR(CommitSegment(context_, *operation_, *segment_, *chains_, record_));
  committed_ = record_;
  segment_->Clear();
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
  progress.chains_diverged = settings_.chains - static_cast<uint32_t>(ActiveChains(record_).size());
  progress.rows = TrainingRowCount(record_);
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
  segment_.reset();
  operation_->Finish(status, OperationResult{}, std::move(writes));
  ended_();
}

}  // namespace bif::jobs
