#include "src/jobs/jobs.h"

#include "src/base/status.h"

namespace bif::jobs {
namespace {

DeviceExecutor::Options WithClock(DeviceExecutor::Options options, Clock& clock) {
  options.clock = &clock;
  return options;
}

}  // namespace

Jobs::Jobs(storage::Store& store, engine::Engine& engine, const JobsOptions& options, Clock& clock)
    : store_(store),
      engine_(engine),
      paths_(options.allowed_roots),
      workers_(std::make_unique<WorkerPool>(options.workers)),
      operations_(std::make_unique<OperationManager>(store.catalog(), clock, options.operations)),
      checkpoints_(
          std::make_unique<Checkpoints>(store, engine, paths_, clock, options.checkpoints)),
      datasets_(std::make_unique<Datasets>(store, paths_, clock, checkpoints_->reference_mutex(),
                                           options.datasets)),
      models_(std::make_unique<ModelCache>(engine, *checkpoints_, store, options.models)),
      traces_(store.catalog(), options.max_open_posteriors),
      executor_(std::make_unique<DeviceExecutor>(WithClock(options.executor, clock))),
      posteriors_(std::make_unique<Posteriors>(store, engine, *checkpoints_, *datasets_,
                                               *operations_, *executor_, traces_, *models_,
                                               counters_, clock, options.posteriors)),
      queries_(std::make_unique<Queries>(
          Queries::Parts{store, engine, *datasets_, *posteriors_, traces_, *operations_, *executor_,
                         *models_, *workers_, counters_, clock},
          options.queries)),
      housekeeping_(std::make_unique<Housekeeping>(
          [this](const std::string& dataset, const CancelToken& cancel) {
            return datasets_->EraseDeleted(dataset, cancel);
          })) {
  datasets_->OnErasable([this](const std::string& id) { housekeeping_->Schedule(id); });
}

absl::StatusOr<std::unique_ptr<Jobs>> Jobs::Start(storage::Store& store, engine::Engine& engine,
                                                  const JobsOptions& options, Clock& clock) {
  std::unique_ptr<Jobs> jobs(new Jobs(store, engine, options, clock));
  BIF_RETURN_IF_ERROR(jobs->operations_->Recover());
  BIF_RETURN_IF_ERROR(jobs->posteriors_->Recover());
  BIF_RETURN_IF_ERROR(jobs->queries_->Recover());
  BIF_RETURN_IF_ERROR(jobs->ScheduleHousekeeping());
  return jobs;
}

absl::Status Jobs::ScheduleHousekeeping() {
  BIF_ASSIGN_OR_RETURN(const auto datasets,
                       store_.catalog().Scan<storage::pb::DatasetRecord>(
                           storage::KindPrefix(storage::RecordKind::kDataset)));
  for (const auto& [key, dataset] : datasets) {
    if (dataset.deleted() > 0) housekeeping_->Schedule(dataset.id());
  }
  return absl::OkStatus();
}

Jobs::~Jobs() { Drain(); }

void Jobs::Drain() {
  executor_->Drain([this] { models_->Clear(); });
  workers_->Drain();
  housekeeping_->Stop();
}

}  // namespace bif::jobs
