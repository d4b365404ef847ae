// All jobs of one daemon: the managers, the device thread and the worker pool, put together.
// Thread-safe.
//
// Start recovers before it returns: operations that were running when the daemon stopped are queued
// again. Drain ends at the next draw boundary, so within seconds, and commits what has been sampled
// by then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/clock.h"
#include "src/engine/engine.h"
#include "src/jobs/admission.h"
#include "src/jobs/allowed_paths.h"
#include "src/jobs/checkpoints.h"
#include "src/jobs/chores.h"
#include "src/jobs/counters.h"
#include "src/jobs/datasets.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/housekeeping.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/operations.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/queries.h"
#include "src/jobs/scrubber.h"
#include "src/jobs/tenants.h"
#include "src/jobs/worker_pool.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct JobsOptions {
  std::vector<std::string> allowed_roots;  // directories that users may name files in
  DeviceExecutor::Options executor;
  WorkerPool::Options workers;
  ModelCache::Options models;
  OperationManager::Options operations;
  Checkpoints::Options checkpoints;
  Datasets::Options datasets;
  absl::Duration chores_period = absl::Seconds(10);
  absl::Duration operations_kept = absl::Hours(30 * 24);  // after their end
  size_t max_open_posteriors = 16;                        // whose index of traces is kept in memory
  Posteriors::Options posteriors;
  Queries::Options queries;
  Scrubber::Options scrub;
};

class Jobs {
 public:
  // `store`, `engine` and `clock` must outlive the object.
  static absl::StatusOr<std::unique_ptr<Jobs>> Start(storage::Store& store, engine::Engine& engine,
                                                     const JobsOptions& options,
                                                     Clock& clock = Clock::System());
  ~Jobs();  // drains

  Checkpoints& checkpoints() { return *checkpoints_; }
  Datasets& datasets() { return *datasets_; }
  Posteriors& posteriors() { return *posteriors_; }
  Queries& queries() { return *queries_; }
  OperationManager& operations() { return *operations_; }
  Tenants& tenants() { return *tenants_; }
  Admission& admission() { return *admission_; }
  DeviceExecutor& executor() { return *executor_; }
  WorkerPool& workers() { return *workers_; }
  ModelCache& models() { return *models_; }  // on the device thread only
  Counters& counters() { return counters_; }
  Housekeeping& housekeeping() { return *housekeeping_; }
  Scrubber& scrubber() { return *scrubber_; }
  storage::Store& store() { return store_; }
  engine::Engine& engine() { return engine_; }

  // Stops taking work. Unfinished operations stay unfinished in the catalog, and go on at the next
  // start. Repeating it is harmless.
  void Drain();

 private:
  Jobs(storage::Store& store, engine::Engine& engine, const JobsOptions& options, Clock& clock);
  // What the last run left undone.
  absl::Status ScheduleHousekeeping();
  // Of samples, posteriors and weights; what is deleted no longer counts.
  absl::StatusOr<int64_t> StoredBytesOf(const std::string& tenant);

  storage::Store& store_;
  engine::Engine& engine_;
  // In order of dependence: each may use those above it.
  Clock& clock_;
  Counters counters_;
  AllowedPaths paths_;
  std::unique_ptr<Tenants> tenants_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<OperationManager> operations_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<Datasets> datasets_;
  std::unique_ptr<ModelCache> models_;
  OpenPosteriors traces_;
  std::unique_ptr<DeviceExecutor> executor_;
  std::unique_ptr<Posteriors> posteriors_;
  std::unique_ptr<Queries> queries_;
  std::unique_ptr<Housekeeping> housekeeping_;
  std::unique_ptr<Scrubber> scrubber_;
  std::unique_ptr<Chores> chores_;
};

}  // namespace bif::jobs
