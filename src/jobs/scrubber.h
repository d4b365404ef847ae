// Reads everything that is stored and compares it with its checksums: slowly, once in a while, on a
// thread of its own, and at once for whoever asks. What it finds is logged and counted. When the
// last one ended, and what it found, is kept over restarts.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"
#include "src/base/clock.h"
#include "src/storage/store.h"

namespace bif::jobs {

class Scrubber {
 public:
  struct Options {
    absl::Duration period = absl::Hours(7 * 24);  // from the end of one to the next; 0: never
    int64_t bytes_per_second = 32 << 20;          // of the periodic ones: leaves the disk to others
  };
  // `store` and `clock` must outlive it.
  Scrubber(storage::Store& store, Clock& clock, const Options& options);
  ~Scrubber();  // stops

  // Reads what the last run has left; to be called once, before anything else.
  absl::Status Recover();
  // Begins the periodic one, in the background, if it is due.
  absl::Status StartIfDue();
  // Scrubs on the caller's thread. The periodic one ends for it: this one counts as well.
  // FAILED_PRECONDITION while another caller's goes on, UNAVAILABLE after Stop.
  absl::StatusOr<storage::CheckSummary> Run(const storage::CheckOptions& options);
  // Blocks until nothing goes on in the background.
  void WaitUntilIdle();
  // Cancels what goes on, and starts nothing more. Repeating it is harmless.
  void Stop();

  // The last scrub that ended.
  struct Last {
    absl::Time end;
    int64_t damaged = 0;  // objects
  };
  std::optional<Last> last() const;
  const std::atomic<uint64_t>& objects() const { return objects_; }  // checked since the start

 private:
  absl::StatusOr<storage::CheckSummary> RunAndKeep(storage::CheckOptions options);
  void RunInBackground(const CancelToken& cancel);

  storage::Store& store_;
  Clock& clock_;
  const Options options_;
  std::atomic<uint64_t> objects_{0};
  std::atomic<bool> stopped_{false};
  mutable absl::Mutex mutex_;  // guards what follows; not held while something is read
  std::optional<Last> last_ ABSL_GUARDED_BY(mutex_);
  std::optional<CancelToken> background_ ABSL_GUARDED_BY(mutex_);  // while one goes on
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;                          // callers of Run
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
