// One thread that owns every engine call of one device.
//
// Work comes as resumable tasks. After every Step the most urgent task goes next, so whoever writes
// a task lets it step from one draw to the next: an interactive query then waits for one draw of
// sampling at most. Within a priority, interactive tasks take turns; the others go first come,
// first served.
//
// Thread-safe. Tasks are stepped and destroyed on the device thread, and so may hold Models and
// what comes from them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace bif::jobs {

enum class Priority : uint8_t { kInteractive = 0, kTrace = 1, kSampling = 2 };
inline constexpr size_t kPriorities = 3;

class DeviceTask {
 public:
  enum class Outcome { kMore, kDone };
  virtual ~DeviceTask() = default;

  // Works up to the next draw boundary, seconds at most. Must not wait for another task.
  virtual Outcome Step() = 0;

  // Whether it only wants to end: such a task steps before all others, so that a cancelled job does
  // not wait for its turn. Thread-safe.
  virtual bool cancelled() const { return false; }

  // Called once, instead of further Steps, when the executor drains: keep what is worth keeping,
  // tell who waits. Within seconds. A task that never stepped is abandoned too.
  virtual void Abandon(const absl::Status& why) = 0;
};

class DeviceExecutor {
 public:
  struct Options {
    size_t max_tasks = 256;  // that wait or are being stepped; more are RESOURCE_EXHAUSTED
  };

  explicit DeviceExecutor(const Options& options);
  ~DeviceExecutor();  // drains

  // RESOURCE_EXHAUSTED if the queue is full, UNAVAILABLE while draining; the task is then destroyed
  // on this thread, without Abandon.
  absl::Status Submit(Priority priority, std::unique_ptr<DeviceTask> task);

  // Runs a function once on the device thread and waits for it. Not to be called from the device
  // thread.
  absl::Status RunAndWait(Priority priority, std::function<absl::Status()> function);

  // Whether something more urgent than `priority` waits: a long Step may look and return early.
  bool MoreUrgentThan(Priority priority) const;

  size_t tasks() const;
  bool draining() const;
  absl::Duration busy() const;  // time spent in Steps since the start

  // Lets the Step in progress end, abandons all tasks with UNAVAILABLE, runs `last` on the device
  // thread (where models are freed) and joins. Repeating it is harmless.
  void Drain(std::function<void()> last = {});

 private:
  void Loop();
  DeviceTask::Outcome TimedStep(DeviceTask& task);
  // Where the next task is: its priority and its place in that queue.
  std::pair<size_t, size_t> Next() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  std::atomic<int64_t> busy_nanos_{0};
  mutable absl::Mutex mutex_;  // guards the queues; never held while a task steps
  std::array<std::deque<std::unique_ptr<DeviceTask>>, kPriorities> queues_ ABSL_GUARDED_BY(mutex_);
  size_t tasks_ ABSL_GUARDED_BY(mutex_) = 0;  // in the queues or being stepped
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> last_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex
      join_mutex_;  // guards the join of thread_, so that two callers of Drain both wait for it
  std::thread thread_;
};

}  // namespace bif::jobs
