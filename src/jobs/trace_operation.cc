#include "src/jobs/trace_operation.h"

#include <utility>

#include "absl/time/clock.h"
#include "src/base/catch_exceptions.h"
#include "src/base/status.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/row_tracer.h"

namespace bif::jobs {
namespace {

class TraceTask : public DeviceTask {
 public:
  TraceTask(Posteriors& posteriors, std::shared_ptr<RunningOperation> operation,
            std::unique_ptr<RowTracer> tracer)
      : posteriors_(posteriors),
        operation_(std::move(operation)),
        tracer_(std::move(tracer)),
        started_(absl::Now()) {}

  Outcome Step() override {
    absl::StatusOr<Outcome> outcome = CatchExceptions([this] { return Work(); });
    if (outcome.ok() && *outcome == Outcome::kMore) return Outcome::kMore;
    OperationResult result;
    result.rows_already_there = tracer_->rows_already_there();
    result.rows_traced =
        outcome.ok() ? tracer_->rows() - tracer_->rows_already_there() : tracer_->rows_traced();
    tracer_.reset();
    operation_->Finish(outcome.status(), result);
    return Outcome::kDone;
  }

  // Unfinished in the catalog: it goes on at the next start.
  void Abandon(const absl::Status&) override {}

 private:
  absl::StatusOr<Outcome> Work() {
    if (operation_->cancel().cancelled())
      return absl::CancelledError("cancelled; the traces that were committed stay");
    BIF_ASSIGN_OR_RETURN(const bool done, tracer_->Step(*operation_));
    Report();
    if (!done) return Outcome::kMore;
    BIF_ASSIGN_OR_RETURN(const bool grown, PosteriorHasGrown());
    return grown ? Outcome::kMore : Outcome::kDone;
  }

  // Whether it has got draws since this operation looked; then its rows are to get them too.
  absl::StatusOr<bool> PosteriorHasGrown() {
    const PosteriorView& view = tracer_->view();
    absl::StatusOr<PosteriorView> now = posteriors_.Open(PosteriorName(view.record.key()));
    if (absl::IsFailedPrecondition(now.status())) return false;  // its first run goes on just now
    BIF_RETURN_IF_ERROR(now.status());
    if (now->draws <= view.draws) return false;
    tracer_->Grow(*std::move(now));
    return true;
  }

  void Report() {
    OperationProgress progress;
    progress.stage = "tracing";
    const double share = tracer_->share_done();
    progress.draws_total = tracer_->total_draws();
    progress.draws_done = static_cast<uint32_t>(share * progress.draws_total);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - started_);
    if (seconds > 0) progress.draws_per_second = progress.draws_done / seconds;
    if (share > 0) progress.remaining = absl::Seconds(seconds * (1 - share) / share);
    progress.rows = tracer_->rows_traced() + tracer_->rows_already_there();
    operation_->Report(progress);
  }

  Posteriors& posteriors_;
  const std::shared_ptr<RunningOperation> operation_;
  std::unique_ptr<RowTracer> tracer_;  // until the operation ends
  const absl::Time started_;
};

}  // namespace

std::unique_ptr<DeviceTask> MakeTraceTask(const TraceJobParts& parts,
                                          std::shared_ptr<RunningOperation> operation,
                                          PosteriorView view,
                                          std::shared_ptr<PosteriorTraces> traces,
                                          uint32_t dataset_number, std::vector<uint32_t> ordinals,
                                          bool tokens) {
  return std::make_unique<TraceTask>(
      parts.posteriors, std::move(operation),
      std::make_unique<RowTracer>(
          RowTracer::Parts{parts.store, parts.models, parts.draws, parts.counters}, std::move(view),
          std::move(traces), dataset_number, std::move(ordinals), tokens));
}

}  // namespace bif::jobs
