// PosteriorJob's stages of a run towards a target: whether it is time to look, the pilot queries'
// traces, the look, the decision.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/posterior_job.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/stopping.h"

namespace bif::jobs {

// Counts what all runs towards this target have spent on steps and traces, the segment in memory
// included.
bool PosteriorJob::TimeIsUp() const {
  const int64_t most = record_.has_stop() ? record_.stop().target().max_micros() : 0;
  if (most == 0) return false;
  const int64_t spent = record_.sampling_micros() + absl::ToInt64Microseconds(sampling_time_) -
                        record_.stop().first_micros();
  return spent >= most;
}

absl::Status PosteriorJob::CheckTimeForADraw() const {
  const bool any = record_.draws_committed() > 0 || HoldsDraws();
  if (any || !TimeIsUp()) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "the budget of ",
          absl::FormatDuration(absl::Microseconds(record_.stop().target().max_micros())),
          " was used up before the first draw (", settings_.burn_in_steps, " steps of burn-in, ",
          record_.steps_between_draws(), " to the draw, ", TrainingRowCount(record_),
          " losses): raise target.max_time")),
      "BUDGET_TOO_SMALL");
}

bool PosteriorJob::IsLookDueAt(uint32_t draws) const {
  if (!record_.has_stop()) return false;
  const storage::pb::SamplingStop& stop = record_.stop();
  if (stop.reason() != static_cast<uint32_t>(StopReason::kGoesOn) || draws == 0) return false;
  return IsCheckDue(stop, draws) || draws >= record_.draws_target() || TimeIsUp();
}

PosteriorJob::Stage PosteriorJob::AfterCommit() const {
  if (IsLookDueAt(record_.draws_committed())) return Stage::kLook;
  return record_.draws_committed() >= record_.draws_target() ? Last() : Stage::kAdvance;
}

absl::Status PosteriorJob::Look() {
  if (look_ == nullptr) {
    BIF_ASSIGN_OR_RETURN(const bool traced, TracePilot());
    if (!traced) return absl::OkStatus();
    Report("looking");
    absl::StatusOr<TargetCheck> look = TargetCheck::Open(context_.store, record_, *traces_);
    if (absl::IsFailedPrecondition(look.status())) return Decide(look.status());
    if (!look.ok()) return look.status();
    look_ = std::make_unique<TargetCheck>(*std::move(look));
  }
  BIF_ASSIGN_OR_RETURN(const bool done, look_->Step());
  if (!done) return absl::OkStatus();
  const absl::StatusOr<attribution::PilotReport> report = look_->Report();
  look_.reset();
  return Decide(report);
}

// Pilot queries that are no training rows have no traces before the first look; later segments
// carry them along like everything that was traced.
absl::StatusOr<bool> PosteriorJob::TracePilot() {
  const storage::pb::SamplingTarget& target = record_.stop().target();
  if (target.pilot_ordinals().empty()) return true;
  if (pilot_tracer_ == nullptr) {
    Report("tracing");
    BIF_ASSIGN_OR_RETURN(traces_, context_.traces.Get(record_.number(), record_.draws_committed()));
    BIF_ASSIGN_OR_RETURN(const auto dataset,
                         context_.store.catalog().Get<storage::pb::DatasetRecord>(
                             storage::DatasetKey(target.pilot_dataset())));
    pilot_tracer_ = std::make_unique<RowTracer>(
        RowTracer::Parts{context_.store, context_.models, stored_draws_, context_.counters},
        StoredView(), traces_, dataset.number(),
        std::vector<uint32_t>(target.pilot_ordinals().begin(), target.pilot_ordinals().end()),
        /*tokens=*/false);
  }
  BIF_ASSIGN_OR_RETURN(const bool done, pilot_tracer_->Step(*operation_));
  if (done) pilot_tracer_.reset();
  return done;
}

absl::Status PosteriorJob::Decide(const absl::StatusOr<attribution::PilotReport>& report) {
  if (!report.ok() && !absl::IsFailedPrecondition(report.status())) return report.status();
  storage::pb::SamplingStop& stop = *record_.mutable_stop();
  const uint32_t draws = record_.draws_committed();
  bool met = false;
  if (report.ok()) {
    const attribution::Forecast& forecast = report->forecast;
    met = forecast.met;
    stop.set_figure(forecast.now);
    stop.set_draws(draws);
    stop.set_predicted_draws(forecast.draws_needed == attribution::kNever ? 0
                                                                          : forecast.draws_needed);
    stop.set_explanation(report->ToString());
  } else {
    // Nothing can be said of these draws: neither is what was said of fewer.
    stop.clear_predicted_draws();
    stop.set_explanation(std::string(report.status().message()));
  }
  std::optional<StopReason> reason;
  if (met) {
    reason = StopReason::kTargetMet;
  } else if (draws >= record_.draws_target()) {
    reason = StopReason::kDrawBudget;
  } else if (TimeIsUp()) {
    reason = StopReason::kTimeBudget;
  }
  if (reason) {
    stop.set_reason(static_cast<uint32_t>(*reason));
    record_.set_draws_target(draws);
  }
  BIF_RETURN_IF_ERROR(CommitRecord());
  Report("sampling");
  stage_ = reason ? Last() : Stage::kAdvance;
  return absl::OkStatus();
}

// With what is committed.
PosteriorView PosteriorJob::StoredView() const {
  return {record_,
          sources_,
          settings_,
          moving_,
          plan_,
          ActiveChains(record_),
          record_.draws_committed()};
}

}  // namespace bif::jobs
