// Posteriors: sampled once for each (checkpoint, training data, settings), kept, extended,
// diagnosed, deleted.
//
// The key is the SHA-256 over the checkpoint's digest, the training data's digest and the canonical
// settings (all but draws_per_chain: asking for more draws of a known posterior continues it).
// Everything is checked when a posterior is created; ten callers who ask at once share one
// operation.
//
// Thread-safe. Calls block on storage I/O, never on sampling.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/engine/engine.h"
#include "src/jobs/checkpoints.h"
#include "src/jobs/cost_estimate.h"
#include "src/jobs/counters.h"
#include "src/jobs/datasets.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/operations.h"
#include "src/jobs/pagination.h"
#include "src/jobs/request_ids.h"
#include "src/jobs/speeds.h"
#include "src/jobs/stopping.h"
#include "src/storage/store.h"

namespace bif::jobs {

// The numbers are stored on disk and equal those of bif.v1.
enum class PosteriorState : uint8_t {
  kQueued = 1,
  kSampling = 2,
  kReady = 3,
  kFailed = 4,
  kCancelled = 5
};

struct PosteriorSpec {
  RequestId request;
  std::string display_name;
  std::string checkpoint;  // a name
  std::string dataset;     // a name
  engine::SamplerSettings settings;
  // What is kept of the draws, and no part of the key: a posterior that is known keeps what it has.
  bool token_traces = false;  // the losses of the training rows' tokens too
  storage::TraceType token_trace_type = storage::TraceType::kFloat32;  // of all token traces
  int priority = 0;  // among the tenant's own sampling; higher goes first
  // Sample until it is met, or its budget is used up; settings.draws_per_chain does not count then.
  std::optional<TargetSpec> target;
};

struct Posterior {
  struct Chain {
    uint32_t index = 0;
    bool diverged = false;
    std::string reason;  // why it diverged
    uint32_t draws = 0;
  };
  std::string name;  // posteriors/{key12}
  std::string key;   // in hex
  std::string display_name;
  std::string checkpoint;  // a name
  std::string dataset;     // a name
  engine::SamplerSettings settings;
  PosteriorState state = PosteriorState::kQueued;
  std::string state_reason;
  std::vector<Chain> chains;
  uint32_t draws_per_chain = 0;      // that are committed
  uint32_t steps_between_draws = 0;  // as asked for, or as AUTO chose; 0 until then
  int64_t training_samples = 0;
  int64_t moving_parameters = 0;
  int64_t disk_bytes = 0;
  std::string numerics;
  absl::Time create_time;
  absl::Duration sampling_time;
  std::string operation;  // the newest one that works on it, a name
  std::string execution_plan;
  engine::ComputeType compute = engine::ComputeType::kFp32;  // what it computes in
  std::string compute_reason;  // why that is not what the settings ask for; else empty
  bool token_traces = false;
  storage::TraceType token_trace_type = storage::TraceType::kFloat32;
  std::optional<Stopping> stopping;  // of one that was sampled towards a target the last time
};

// Meaning and formulas: src/attribution/diagnostics.h. All numbers are of the chains that did not
// diverge.
struct PosteriorDiagnostics {
  struct Chain {
    uint32_t index = 0;
    std::vector<float> sampling_loss;  // mean batch loss since the draw before, one a draw
    std::vector<float> distance;       // Euclidean, from w*, one a draw
    bool diverged = false;
    std::string reason;
  };
  struct Quantiles {
    double p05 = 0;
    double median = 0;
    double p95 = 0;
  };
  std::string posterior;  // a name
  std::vector<Chain> chains;
  double r_hat = 0;       // of the sampling loss
  double ess_bulk = 0;    // of the sampling loss, in draws
  Quantiles trace_r_hat;  // over a fixed random subset of training traces
  Quantiles trace_ess;
  double autocorrelation_time = 0;  // of the sampling loss, in draws
  double anchor_loss = 0;           // L(w*), mean over the training rows
  double mean_loss = 0;             // E[L], over draws and training rows
  double llc = 0;
  double llc_standard_error = 0;
  std::string verdict;  // MIXED, DRIFTING, STUCK_AT_ANCHOR or DIVERGED
  std::string explanation;
  // What llc is of: everything else stands still at w*, so that with a filter it is the learning
  // coefficient of that component alone.
  struct Component {
    engine::ParameterFilter filter;
    std::vector<std::string> names;  // of the parameters that move
    int64_t parameters = 0;          // numbers in them
    int64_t all_parameters = 0;      // of the checkpoint
  };
  Component component;
  std::string checkpoint;  // a name
};

// Where a posterior's things are, for who reads its draws and traces (queries). A copy.
struct PosteriorView {
  storage::pb::PosteriorRecord record;
  Checkpoints::Sources sources;
  engine::SamplerSettings settings;
  engine::MovingSet moving;
  engine::ExecutionPlan plan;
  std::vector<uint32_t> active_chains;  // that have not diverged
  uint32_t draws = 0;                   // committed, of every active chain
};

class OpenPosteriors;  // src/jobs/posterior_traces.h

class Posteriors {
 public:
  struct Options {
    size_t max_posterior_jobs = 64;        // waiting or sampling; more are RESOURCE_EXHAUSTED
    int64_t max_device_bytes = 0;          // refuse runs above this estimate; 0: no limit
    int64_t tile_buffer_bytes = 64 << 20;  // traces and draws held until a segment ends
    uint32_t max_segment_draws = 64;       // of every chain; a tile holds 64
    absl::Duration segment_time = absl::Seconds(15);  // a segment ends at the first draw after this
  };
  Posteriors(storage::Store& store, engine::Engine& engine, Checkpoints& checkpoints,
             Datasets& datasets, OperationManager& operations, DeviceExecutor& executor,
             OpenPosteriors& traces, ModelCache& models, Counters& counters, Clock& clock,
             const Options& options);
  ~Posteriors();

  // Puts posteriors that were queued or sampling back to work. To be called once, after
  // OperationManager::Recover.
  absl::Status Recover();

  // A known key answers with its running operation; with a new one that is done already, if its
  // draws are there; or goes on where a cancelled or failed run stopped.
  absl::StatusOr<Operation> Create(const PosteriorSpec& spec);
  // All of Create's checks; nothing is made.
  absl::StatusOr<CostEstimate> Estimate(const PosteriorSpec& spec);
  // More draws for every chain: the new total. Continues bit-identically.
  absl::StatusOr<Operation> Extend(const RequestId& request, const std::string& name,
                                   uint32_t draws_per_chain, int priority = 0);
  // Likewise until the target is met, if it is not already, or its budget is used up.
  absl::StatusOr<Operation> Extend(const RequestId& request, const std::string& name,
                                   const TargetSpec& target, int priority = 0);

  absl::StatusOr<Posterior> Get(const std::string& name);
  absl::StatusOr<Page<Posterior>> List(const PageRequest& page);
  // Cancels its run, waits for that (at most a minute), then gives the space back.
  absl::Status Delete(const std::string& name);
  // FAILED_PRECONDITION with fewer than 4 committed draws.
  absl::StatusOr<PosteriorDiagnostics> Diagnose(const std::string& name);

  // --- for queries ---
  // FAILED_PRECONDITION while it has fewer than 2 draws or is still sampling its first run.
  absl::StatusOr<PosteriorView> Open(const std::string& name);
  // Called after a posterior has been deleted, with its number: whoever caches its things lets go.
  // To be set before use.
  void OnDeleted(std::function<void(uint64_t posterior_number)> listener);
  // Dataset ordinals of the training rows, in slot order: slot s of the loss traces is training row
  // s.
  static std::vector<uint32_t> TrainingOrdinals(const storage::pb::PosteriorRecord& record);

 private:
  class Impl;
  std::unique_ptr<Speeds> speeds_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bif::jobs
