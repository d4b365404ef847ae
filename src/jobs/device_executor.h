// One thread that owns every engine call of one device.
//
// Work comes as resumable tasks. After every Step the schedule says whose turn it is
// (src/jobs/device_schedule.h), so whoever writes a task lets it step from one draw to the next: an
// interactive query then waits for one draw of sampling at most.
//
// Thread-safe. Tasks are stepped and destroyed on the device thread, and so may hold Models and
// what comes from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/jobs/device_schedule.h"

namespace bif::jobs {

class DeviceTask {
 public:
  enum class Outcome { kMore, kDone };
  virtual ~DeviceTask() = default;

  // Works up to the next draw boundary, seconds at most. Must not wait for another task.
  virtual Outcome Step() = 0;

  // Whether it only wants to end: such a task steps before all others, so that a cancelled job does
  // not wait for its turn. Thread-safe.
  virtual bool cancelled() const { return false; }

  // Who pays for the last Step, and which part of it; parts sum to 1. Empty: who submitted it.
  struct Share {
    std::string tenant;
    double part = 0;
  };
  virtual std::vector<Share> Shares() const { return {}; }

  // Called once, instead of further Steps, when the executor drains: keep what is worth keeping,
  // tell who waits. Within seconds. A task that never stepped is abandoned too.
  virtual void Abandon(const absl::Status& why) = 0;
};

// One step, for who keeps accounts.
struct DeviceUse {
  std::string tenant;
  Priority priority = Priority::kInteractive;
  absl::Duration used;
};

class DeviceExecutor {
 public:
  struct Options {
    size_t max_tasks = 256;  // that wait or are being stepped; more are RESOURCE_EXHAUSTED
    DeviceSchedule::Options schedule;
    Clock* clock = &Clock::System();
    // Called on the device thread after every step; must not block. May be empty.
    std::function<void(const DeviceUse&)> on_use;
    std::function<void(Priority, absl::Duration waited)> on_turn;
    // A Step that takes longer means a device, or its driver, that hangs: steps take seconds.
    absl::Duration stuck_after = absl::Minutes(10);
  };

  explicit DeviceExecutor(const Options& options);
  ~DeviceExecutor();  // drains

  // RESOURCE_EXHAUSTED if the queue is full, UNAVAILABLE while draining; the task is then destroyed
  // on this thread, without Abandon.
  absl::Status Submit(const DeviceClaim& claim, std::unique_ptr<DeviceTask> task);

  // Runs a function once on the device thread and waits for it. Not to be called from the device
  // thread.
  absl::Status RunAndWait(const DeviceClaim& claim, std::function<absl::Status()> function);

  // Of device time, beside the other tenants'; above 0.
  void SetWeight(const std::string& tenant, double weight);

  size_t tasks() const;
  size_t waiting(Priority priority) const;
  bool draining() const;
  // Whether the Step in progress has been going on for longer than Options::stuck_after. Nothing
  // else steps meanwhile, and Drain waits for it.
  bool stuck() const;
  // Calls `listener` when Watch finds that `stuck` has changed, and once at once if it is true
  // already. It must not call the executor. No call is in progress when OnStuck({}) returns.
  void OnStuck(std::function<void(bool stuck)> listener);
  // To be called every few seconds by another thread: one that hangs says nothing itself.
  void Watch();
  // Time spent in Steps since the start: all of it, and by tenant and class.
  absl::Duration busy() const;
  using Usage = std::map<std::pair<std::string, Priority>, absl::Duration>;
  Usage used() const;

  // Lets the Step in progress end, abandons all tasks with UNAVAILABLE, runs `last` on the device
  // thread (where models are freed) and joins. Repeating it is harmless.
  void Drain(std::function<void()> last = {});

 private:
  void Loop();
  DeviceTask::Outcome TimedStep(const DeviceSchedule::Turn& turn, DeviceTask& task);
  std::optional<DeviceSchedule::Turn> NextTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable absl::Mutex mutex_;  // guards the schedule; never held while a task steps
  DeviceSchedule schedule_ ABSL_GUARDED_BY(mutex_);
  // By number, in order of submission. One that steps is not in the schedule.
  absl::btree_map<DeviceSchedule::Id, std::unique_ptr<DeviceTask>> tasks_ ABSL_GUARDED_BY(mutex_);
  DeviceSchedule::Id last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  Usage used_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Time> step_start_ ABSL_GUARDED_BY(mutex_);  // of the one in progress
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> last_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex stuck_mutex_;  // guards who hears of it; held while they do. Before mutex_
  std::function<void(bool)> on_stuck_ ABSL_GUARDED_BY(stuck_mutex_);
  bool told_stuck_ ABSL_GUARDED_BY(stuck_mutex_) = false;
  absl::Mutex
      join_mutex_;  // guards the join of thread_, so that two callers of Drain both wait for it
  std::thread thread_;
};

}  // namespace bif::jobs
