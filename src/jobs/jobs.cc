#include "src/jobs/jobs.h"

#include "src/base/status.h"
#include "src/jobs/list_records.h"

namespace bif::jobs {
namespace {

// Device time is a tenant's, whoever else listens.
DeviceExecutor::Options WithAccounts(DeviceExecutor::Options options, Clock& clock,
                                     Admission& admission) {
  options.clock = &clock;
  options.on_use = [&admission, also = options.on_use](const DeviceUse& use) {
    admission.AddDeviceTime(use.tenant, use.used);
    if (also) also(use);
  };
  return options;
}

OperationManager::Options WithAdmission(OperationManager::Options options, Admission& admission) {
  options.admission = &admission;
  return options;
}

Datasets::Options WithAdmission(Datasets::Options options, Admission& admission) {
  options.admit_bytes = [&admission](const std::string& tenant, int64_t bytes) {
    return admission.AdmitBytes(tenant, bytes);
  };
  return options;
}

}  // namespace

Jobs::Jobs(storage::Store& store, engine::Engine& engine, const JobsOptions& options, Clock& clock)
    : store_(store),
      engine_(engine),
      clock_(clock),
      paths_(options.allowed_roots),
      tenants_(std::make_unique<Tenants>(store.catalog(), clock)),
      admission_(std::make_unique<Admission>(
          *tenants_, store.catalog(), clock,
          [this](const std::string& tenant) { return StoredBytesOf(tenant); })),
      workers_(std::make_unique<WorkerPool>(options.workers)),
      operations_(std::make_unique<OperationManager>(
          store.catalog(), clock, WithAdmission(options.operations, *admission_))),
      checkpoints_(
          std::make_unique<Checkpoints>(store, engine, paths_, clock, options.checkpoints)),
      datasets_(std::make_unique<Datasets>(store, paths_, clock, checkpoints_->reference_mutex(),
                                           WithAdmission(options.datasets, *admission_))),
      models_(std::make_unique<ModelCache>(engine, *checkpoints_, store, options.models)),
      traces_(store.catalog(), options.max_open_posteriors),
      executor_(
          std::make_unique<DeviceExecutor>(WithAccounts(options.executor, clock, *admission_))),
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
          })),
      scrubber_(std::make_unique<Scrubber>(store, clock, options.scrub)) {
  datasets_->OnErasable([this](const std::string& id) { housekeeping_->Schedule(id); });
  tenants_->OnChange(
      [this](const Tenant& tenant) { executor_->SetWeight(tenant.id, tenant.weight); });
}

absl::StatusOr<std::unique_ptr<Jobs>> Jobs::Start(storage::Store& store, engine::Engine& engine,
                                                  const JobsOptions& options, Clock& clock) {
  std::unique_ptr<Jobs> jobs(new Jobs(store, engine, options, clock));
  BIF_RETURN_IF_ERROR(jobs->tenants_->Recover());
  BIF_RETURN_IF_ERROR(jobs->admission_->Recover());
  BIF_RETURN_IF_ERROR(jobs->operations_->Recover());
  BIF_RETURN_IF_ERROR(jobs->posteriors_->Recover());
  BIF_RETURN_IF_ERROR(jobs->queries_->Recover());
  BIF_RETURN_IF_ERROR(jobs->ScheduleHousekeeping());
  BIF_RETURN_IF_ERROR(jobs->scrubber_->Recover());
  Jobs* const self = jobs.get();
  jobs->chores_ = std::make_unique<Chores>(
      options.chores_period, std::vector<Chores::Chore>{
                                 [self] {
                                   self->executor_->Watch();
                                   return absl::OkStatus();
                                 },
                                 [self] { return self->admission_->KeepUsage(); },
                                 [self] { return self->operations_->StoreEnds(); },
                                 [self, kept = options.operations_kept] {
                                   return self->operations_->Forget(self->clock_.Now() - kept);
                                 },
                                 [self] { return self->scrubber_->StartIfDue(); },
                             });
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

absl::StatusOr<int64_t> Jobs::StoredBytesOf(const std::string& tenant) {
  storage::Catalog& catalog = store_.catalog();
  using storage::RecordKind;
  BIF_ASSIGN_OR_RETURN(const auto datasets, RecordsOf<storage::pb::DatasetRecord>(
                                                catalog, RecordKind::kDataset, tenant));
  BIF_ASSIGN_OR_RETURN(const auto posteriors, RecordsOf<storage::pb::PosteriorRecord>(
                                                  catalog, RecordKind::kPosterior, tenant));
  BIF_ASSIGN_OR_RETURN(const auto checkpoints, RecordsOf<storage::pb::CheckpointRecord>(
                                                   catalog, RecordKind::kCheckpoint, tenant));
  int64_t bytes = 0;
  for (const auto& dataset : datasets) {
    if (dataset.rows() == 0) continue;
    const double living = static_cast<double>(dataset.rows() - dataset.deleted()) /
                          static_cast<double>(dataset.rows());
    bytes += static_cast<int64_t>(living * static_cast<double>(dataset.bytes()));
  }
  for (const auto& posterior : posteriors) bytes += posterior.disk_bytes();
  for (const auto& checkpoint : checkpoints)
    bytes += checkpoint.parameters() * static_cast<int64_t>(sizeof(float));
  return bytes;
}

Jobs::~Jobs() { Drain(); }

void Jobs::Drain() {
  executor_->Drain([this] { models_->Clear(); });
  workers_->Drain();
  housekeeping_->Stop();
  scrubber_->Stop();
  if (chores_ != nullptr) chores_->Stop();
}

}  // namespace bif::jobs
