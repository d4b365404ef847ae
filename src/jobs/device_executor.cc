#include "src/jobs/device_executor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

absl::Status Draining() {
  return WithReason(
      absl::UnavailableError("the daemon is shutting down; try again after its restart"),
      "DRAINING");
}

// A function as a task of one step.
class FunctionTask : public DeviceTask {
 public:
  FunctionTask(std::function<absl::Status()> function, absl::Status* result,
               absl::Notification* done)
      : function_(std::move(function)), result_(result), done_(done) {}
  Outcome Step() override {
    End(function_());
    return Outcome::kDone;
  }
  void Abandon(const absl::Status& why) override { End(why); }

 private:
  void End(absl::Status status) {
    function_ = nullptr;  // what it holds is freed before the caller goes on
    *result_ = std::move(status);
    done_->Notify();
  }
  std::function<absl::Status()> function_;
  absl::Status* result_;
  absl::Notification* done_;
};

}  // namespace

DeviceExecutor::DeviceExecutor(const Options& options)
    : options_(options), thread_([this] { Loop(); }) {}

DeviceExecutor::~DeviceExecutor() { Drain(); }

absl::Status DeviceExecutor::Submit(Priority priority, std::unique_ptr<DeviceTask> task) {
  absl::MutexLock lock(&mutex_);
  if (draining_) return Draining();
  if (tasks_ >= options_.max_tasks) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat("the device's queue is full: ", tasks_,
                                                  " jobs wait or run; try again later")),
        "QUEUE_FULL");
  }
  ++tasks_;
  queues_[static_cast<size_t>(priority)].push_back(std::move(task));
  return absl::OkStatus();
}

absl::Status DeviceExecutor::RunAndWait(Priority priority, std::function<absl::Status()> function) {
  absl::Status result;
  absl::Notification done;
  BIF_RETURN_IF_ERROR(
      Submit(priority, std::make_unique<FunctionTask>(std::move(function), &result, &done)));
  done.WaitForNotification();
  return result;
}

bool DeviceExecutor::MoreUrgentThan(Priority priority) const {
  absl::MutexLock lock(&mutex_);
  for (size_t p = 0; p < static_cast<size_t>(priority); ++p) {
    if (!queues_[p].empty()) return true;
  }
  return false;
}

size_t DeviceExecutor::tasks() const {
  absl::MutexLock lock(&mutex_);
  return tasks_;
}

bool DeviceExecutor::draining() const {
  absl::MutexLock lock(&mutex_);
  return draining_;
}

void DeviceExecutor::Drain(std::function<void()> last) {
  {
    absl::MutexLock lock(&mutex_);
    if (!draining_) last_ = std::move(last);
    draining_ = true;
  }
  absl::MutexLock lock(&join_mutex_);
  if (thread_.joinable()) thread_.join();
}

bool DeviceExecutor::HasWork() const {
  for (const auto& queue : queues_) {
    if (!queue.empty()) return true;
  }
  return draining_;
}

absl::Duration DeviceExecutor::busy() const {
  return absl::Nanoseconds(busy_nanos_.load(std::memory_order_relaxed));
}

DeviceTask::Outcome DeviceExecutor::TimedStep(DeviceTask& task) {
  const absl::Time start = absl::Now();
  const DeviceTask::Outcome outcome = task.Step();
  busy_nanos_.fetch_add(absl::ToInt64Nanoseconds(absl::Now() - start), std::memory_order_relaxed);
  return outcome;
}

std::pair<size_t, size_t> DeviceExecutor::Next() const {
  std::pair<size_t, size_t> next{kPriorities, 0};
  for (size_t p = 0; p < kPriorities; ++p) {
    for (size_t i = 0; i < queues_[p].size(); ++i) {
      if (queues_[p][i]->cancelled()) return {p, i};
    }
    if (next.first == kPriorities && !queues_[p].empty()) next = {p, 0};
  }
  return next;
}

void DeviceExecutor::Loop() {
  while (true) {
    size_t priority = 0;
    std::unique_ptr<DeviceTask> task;
    bool draining = false;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &DeviceExecutor::HasWork));
      draining = draining_;
      const auto [urgency, place] = Next();
      if (urgency == kPriorities) break;  // draining, and nothing is left
      priority = urgency;
      auto& queue = queues_[priority];
      task = std::move(queue[place]);
      queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(place));
    }
    if (draining) {
      task->Abandon(Draining());
    } else if (TimedStep(*task) == DeviceTask::Outcome::kMore) {
      absl::MutexLock lock(&mutex_);
      auto& queue = queues_[priority];
      if (priority == static_cast<size_t>(Priority::kInteractive)) {
        queue.push_back(std::move(task));
      } else {
        queue.push_front(std::move(task));
      }
      continue;
    }
    task.reset();
    absl::MutexLock lock(&mutex_);
    --tasks_;
  }
  std::function<void()> last;
  {
    absl::MutexLock lock(&mutex_);
    last = std::move(last_);
  }
  if (last) last();
}

}  // namespace bif::jobs
