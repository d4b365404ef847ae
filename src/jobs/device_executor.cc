#include "src/jobs/device_executor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "src/base/catch_exceptions.h"
#include "src/base/status.h"
#include "src/observe/log.h"

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
    End(CatchExceptions(function_));
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
    : options_(options), schedule_(options.schedule), thread_([this] { Loop(); }) {}

DeviceExecutor::~DeviceExecutor() { Drain(); }

absl::Status DeviceExecutor::Submit(const DeviceClaim& claim, std::unique_ptr<DeviceTask> task) {
  absl::MutexLock lock(&mutex_);
  if (draining_) return Draining();
  if (tasks_.size() >= options_.max_tasks) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat("the device's queue is full: ", tasks_.size(),
                                                  " jobs wait or run; try again later")),
        "QUEUE_FULL");
  }
  tasks_.emplace(++last_id_, std::move(task));
  schedule_.Add(last_id_, claim, options_.clock->Now());
  return absl::OkStatus();
}

absl::Status DeviceExecutor::RunAndWait(const DeviceClaim& claim,
                                        std::function<absl::Status()> function) {
  absl::Status result;
  absl::Notification done;
  BIF_RETURN_IF_ERROR(
      Submit(claim, std::make_unique<FunctionTask>(std::move(function), &result, &done)));
  done.WaitForNotification();
  return result;
}

void DeviceExecutor::SetWeight(const std::string& tenant, double weight) {
  absl::MutexLock lock(&mutex_);
  schedule_.SetWeight(tenant, weight);
}

size_t DeviceExecutor::tasks() const {
  absl::MutexLock lock(&mutex_);
  return tasks_.size();
}

size_t DeviceExecutor::waiting(Priority priority) const {
  absl::MutexLock lock(&mutex_);
  return schedule_.waiting(priority);
}

bool DeviceExecutor::draining() const {
  absl::MutexLock lock(&mutex_);
  return draining_;
}

bool DeviceExecutor::stuck() const {
  const absl::Time now = options_.clock->Now();
  absl::MutexLock lock(&mutex_);
  return step_start_ && now - *step_start_ > options_.stuck_after;
}

void DeviceExecutor::OnStuck(std::function<void(bool)> listener) {
  absl::MutexLock lock(&stuck_mutex_);
  on_stuck_ = std::move(listener);
  if (on_stuck_ && told_stuck_) on_stuck_(true);
}

void DeviceExecutor::Watch() {
  absl::MutexLock lock(&stuck_mutex_);
  const bool now_stuck = stuck();
  if (now_stuck == told_stuck_) return;
  told_stuck_ = now_stuck;
  if (now_stuck) {
    observe::LogError("the device is stuck: a step does not end",
                      {{"seconds", absl::ToDoubleSeconds(options_.stuck_after)}});
  } else {
    observe::LogInfo("the device goes on");
  }
  if (on_stuck_) on_stuck_(now_stuck);
}

absl::Duration DeviceExecutor::busy() const {
  absl::Duration all;
  for (const auto& [whose, used] : used()) all += used;
  return all;
}

DeviceExecutor::Usage DeviceExecutor::used() const {
  absl::MutexLock lock(&mutex_);
  return used_;
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

bool DeviceExecutor::HasWork() const { return !schedule_.empty() || draining_; }

std::optional<DeviceSchedule::Turn> DeviceExecutor::NextTurn() {
  const absl::Time now = options_.clock->Now();
  for (const auto& [id, task] : tasks_) {
    if (!task->cancelled()) continue;
    if (auto turn = schedule_.Take(id, now)) return turn;
  }
  return schedule_.Next(now);
}

DeviceTask::Outcome DeviceExecutor::TimedStep(const DeviceSchedule::Turn& turn, DeviceTask& task) {
  if (options_.on_turn) options_.on_turn(turn.claim.priority, turn.waited);
  const absl::Time start = options_.clock->Now();
  {
    absl::MutexLock lock(&mutex_);
    step_start_ = start;
  }
  const DeviceTask::Outcome outcome = task.Step();
  const absl::Time end = options_.clock->Now();
  std::vector<DeviceTask::Share> shares = task.Shares();
  if (shares.empty()) shares.push_back({turn.claim.tenant, 1});
  if (options_.on_use) {
    for (const auto& [tenant, part] : shares)
      options_.on_use({tenant, turn.claim.priority, part * (end - start)});
  }
  absl::MutexLock lock(&mutex_);
  step_start_.reset();
  for (const auto& [tenant, part] : shares) {
    schedule_.Charge(tenant, part * (end - start));
    used_[{tenant, turn.claim.priority}] += part * (end - start);
  }
  schedule_.EndTurn(turn, end - start, outcome == DeviceTask::Outcome::kMore, end);
  return outcome;
}

void DeviceExecutor::Loop() {
  while (true) {
    std::optional<DeviceSchedule::Turn> turn;
    DeviceTask* task = nullptr;
    bool draining = false;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &DeviceExecutor::HasWork));
      draining = draining_;
      turn = NextTurn();
      if (!turn) break;  // draining, and nothing is left
      task = tasks_[turn->id].get();
    }
    if (draining) {
      task->Abandon(Draining());
    } else if (TimedStep(*turn, *task) == DeviceTask::Outcome::kMore) {
      continue;
    }
    std::unique_ptr<DeviceTask> done;  // freed before the task counts as gone
    {
      absl::MutexLock lock(&mutex_);
      done = std::move(tasks_[turn->id]);
    }
    done.reset();
    absl::MutexLock lock(&mutex_);
    tasks_.erase(turn->id);
  }
  std::function<void()> last;
  {
    absl::MutexLock lock(&mutex_);
    last = std::move(last_);
  }
  if (last) last();
}

}  // namespace bif::jobs
