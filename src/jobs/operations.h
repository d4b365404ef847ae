// Long-running jobs as their callers see them: created once, listed, watched, waited for,
// cancelled.
//
// An operation's existence, its cancellation and its end are committed to the catalog at once; its
// progress lives in memory and reaches the disk with its job's own commits (Operation::AddTo).
// After a restart, operations that were not done are handed to the job that owns their kind
// (Unfinished).
//
// Thread-safe. Callbacks run on the thread that made the change, never under a lock of this class.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"
#include "src/base/clock.h"
#include "src/jobs/admission.h"
#include "src/jobs/cost_estimate.h"
#include "src/jobs/pagination.h"
#include "src/jobs/stopping.h"
#include "src/jobs/tenant.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

// Kinds of operation, as stored.
inline constexpr char kPosteriorOperation[] = "posterior";
inline constexpr char kExtendOperation[] = "extend";
inline constexpr char kTraceOperation[] = "trace";

struct OperationProgress {
  std::string stage;        // queued, loading, tuning, burn-in, pilot, sampling, tracing, done
  uint32_t draws_done = 0;  // of all chains together
  uint32_t draws_total = 0;
  double draws_per_second = 0;  // in this process; 0 until it is known
  std::optional<absl::Duration> remaining;
  uint32_t chains_diverged = 0;
  double ess_bulk = 0;  // effective draws of the committed ones, by the sampling loss; 0: too few
  int64_t rows = 0;     // that are traced at every draw
  std::optional<CostEstimate> estimate;
  std::optional<Stopping> stopping;  // of a run towards a target, while this process works on it
};

struct OperationResult {
  int64_t rows_traced = 0;         // of a trace operation: evaluated now
  int64_t rows_already_there = 0;  // of a trace operation: stored before
};

// What a caller sees: a copy, true at the moment it was made.
struct Operation {
  std::string name;  // operations/{id}
  std::string kind;
  std::string target;  // name of the posterior that it works on
  bool done = false;
  absl::Status error;      // of a done operation; OK: it did what it was asked for
  OperationResult result;  // of a done operation without error
  OperationProgress progress;
  uint64_t sequence = 0;  // rises with every change
  bool cancel_requested = false;
  absl::Time create_time;
  absl::Time end_time;  // of a done operation
};

class OperationManager;

// The worker's side of an operation that is not done. Thread-safe; must not outlive the manager.
class RunningOperation {
 public:
  const std::string& id() const { return id_; }
  const std::string& kind() const { return kind_; }
  const std::string& target_key() const { return target_key_; }  // the posterior's key, in full
  const std::string& request() const { return request_; }        // as given to Create
  const CancelToken& cancel() const { return cancel_; }

  // In memory only; wakes who watches.
  void Report(const OperationProgress& progress);
  OperationProgress progress() const;

  // Adds the record, as it is now, to a commit of the job.
  void AddTo(storage::WriteSet& writes) const;

  // Ends the operation, in one commit with `writes`. If that commit fails, the operation ends with
  // its error, without `writes`, and in memory alone until StoreEnds: after a restart before that
  // it is unfinished again. Only the first call counts.
  void Finish(const absl::Status& error, const OperationResult& result,
              storage::WriteSet writes = {});

 private:
  friend class OperationManager;
  OperationManager* manager_ = nullptr;
  std::string id_;
  std::string kind_;
  std::string target_key_;
  std::string request_;
  CancelToken cancel_;
};

class OperationManager {
 public:
  struct Options {
    size_t max_running = 256;
    // Beside the tenant's own limits (src/jobs/admission.h); nullptr: there are none. Outlives it.
    Admission* admission = nullptr;
  };
  OperationManager(storage::Catalog& catalog, Clock& clock, const Options& options);
  ~OperationManager();

  // --- for jobs ---
  absl::StatusOr<std::string> NewId(const std::string& tenant = kDefaultTenant);
  // Starts an operation, in one commit with `writes`. `request` is for the job that owns the kind,
  // to go on after a restart. `estimate` is what it will need at most, reserved until it ends.
  // RESOURCE_EXHAUSTED if too many are running, or the tenant may not use so much. Stores ends
  // first (StoreEnds), and fails if that does: a restart must not find an operation unfinished that
  // ended, beside one that was started since to do its work.
  absl::StatusOr<std::shared_ptr<RunningOperation>> Create(
      const std::string& id, const std::string& kind, const std::string& target_key,
      const std::string& request, storage::WriteSet writes, const CostEstimate& estimate = {});
  // Stores the ends that Finish could not store, because the disk was full or failed. OK if there
  // is none. To be called now and then; gives the error of the first that cannot be stored now
  // either.
  absl::Status StoreEnds();
  // Reads the catalog after a start; to be called once, before anything else.
  absl::Status Recover();
  // What Recover found unfinished, oldest first. Each kind is taken once, by the job that owns it.
  std::vector<std::shared_ptr<RunningOperation>> TakeUnfinished(const std::string& kind);
  size_t recovered() const;  // how many Recover found unfinished
  // The running operation with this id, or nullptr.
  std::shared_ptr<RunningOperation> FindRunning(const std::string& id);

  // --- for callers. Unknown names are NOT_FOUND. ---
  absl::StatusOr<Operation> Get(const std::string& name);
  absl::StatusOr<Page<Operation>> List(const PageRequest& page);  // oldest first
  // Asks it to stop at its next draw boundary. A done operation stays as it is.
  absl::Status Cancel(const std::string& name);
  // Forgets a done operation. FAILED_PRECONDITION while it runs.
  absl::Status Delete(const std::string& name);
  // Forgets all that ended before this time.
  absl::Status Forget(absl::Time ended_before);

  // Blocks until the operation is done or `deadline` (of the system's clock) has passed; gives it
  // as it is then.
  absl::StatusOr<Operation> Wait(const std::string& name, absl::Time deadline);

  // Calls `callback` once: as soon as the sequence is above `after_sequence` or the operation is
  // done; at once, on this thread, if that is so already (then the id is 0). The callback must not
  // block. It also comes, with the operation as it is, when the manager goes away.
  absl::StatusOr<uint64_t> NotifyOnChange(const std::string& name, uint64_t after_sequence,
                                          std::function<void(const Operation&)> callback);
  // True: the callback will never be called. False: it was, or is being called right now.
  bool StopNotifying(uint64_t notification);

 private:
  friend class RunningOperation;
  struct Live {
    std::shared_ptr<RunningOperation> running;
    storage::pb::OperationRecord record;
    OperationProgress progress;
    bool finishing = false;
    std::unique_ptr<Admission::Reservation> reservation;
  };
  struct Watcher {
    std::string id;
    uint64_t after_sequence = 0;
    std::function<void(const Operation&)> callback;
  };
  using Calls = std::vector<std::pair<std::function<void(const Operation&)>, Operation>>;

  absl::StatusOr<Operation> Lookup(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  static Operation ViewOf(const Live& live);
  std::shared_ptr<RunningOperation> MakeLive(const storage::pb::OperationRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the watchers of `id` whose condition is met.
  void CollectCalls(const std::string& id, const Operation& view, Calls& calls)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  storage::Catalog& catalog_;
  Clock& clock_;
  const Options options_;
  mutable absl::Mutex
      mutex_;  // guards what runs and who watches; not held during catalog commits of Finish
  absl::flat_hash_map<std::string, Live> live_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex storing_;  // so that StoreEnds brings nothing back that Delete has deleted
  // Ends that could not be stored yet (a full or broken disk).
  absl::flat_hash_map<std::string, storage::pb::OperationRecord> unstored_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<RunningOperation>> unfinished_ ABSL_GUARDED_BY(mutex_);
  size_t recovered_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<uint64_t, Watcher> watchers_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_watcher_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace bif::jobs
