#include "src/jobs/device_executor.h"

#include <gtest/gtest.h>

#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "src/base/cancel.h"

namespace bif::jobs {
namespace {

// What happened, in order. Thread-safe.
class Log {
 public:
  void Add(const std::string& line) {
    absl::MutexLock lock(&mutex_);
    lines_.push_back(line);
  }
  std::vector<std::string> lines() {
    absl::MutexLock lock(&mutex_);
    return lines_;
  }

 private:
  absl::Mutex mutex_;  // guards lines_
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

class LoggedTask : public DeviceTask {
 public:
  LoggedTask(Log& log, std::string name, int steps, const CancelToken& cancel = {},
             std::function<void()> during = {})
      : log_(log),
        name_(std::move(name)),
        steps_(steps),
        cancel_(cancel),
        during_(std::move(during)) {}
  ~LoggedTask() override { log_.Add(name_ + " freed"); }
  Outcome Step() override {
    if (during_) during_();
    log_.Add(name_);
    return --steps_ > 0 ? Outcome::kMore : Outcome::kDone;
  }
  void Abandon(const absl::Status& why) override {
    log_.Add(name_ + (absl::IsUnavailable(why) ? " abandoned" : " abandoned for no reason"));
  }
  bool cancelled() const override { return cancel_.cancelled(); }

 private:
  Log& log_;
  const std::string name_;
  int steps_;
  const CancelToken cancel_;
  const std::function<void()> during_;
};

std::vector<std::string> StepsOnly(std::vector<std::string> lines) {
  std::erase_if(lines, [](const std::string& line) { return line.find(' ') != std::string::npos; });
  return lines;
}

// Holds the device thread until the test has queued what it wants.
class Gate {
 public:
  explicit Gate(DeviceExecutor& executor) {
    class GateTask : public DeviceTask {
     public:
      explicit GateTask(Gate* gate) : gate_(gate) {}
      Outcome Step() override {
        gate_->closed_.Notify();
        gate_->open_.WaitForNotification();
        return Outcome::kDone;
      }
      void Abandon(const absl::Status&) override {}
      Gate* gate_;
    };
    EXPECT_TRUE(executor.Submit({Priority::kInteractive}, std::make_unique<GateTask>(this)).ok());
    closed_.WaitForNotification();
  }
  void Open() { open_.Notify(); }

 private:
  absl::Notification closed_, open_;
};

void WaitUntilIdle(DeviceExecutor& executor) {
  while (executor.tasks() > 0) std::this_thread::yield();
}

TEST(DeviceExecutor, TheMostUrgentTaskGoesFirst) {
  Log log;
  DeviceExecutor executor({});
  Gate gate(executor);
  ASSERT_TRUE(
      executor.Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, "sampling", 2))
          .ok());
  ASSERT_TRUE(
      executor.Submit({Priority::kTrace}, std::make_unique<LoggedTask>(log, "trace", 2)).ok());
  ASSERT_TRUE(
      executor.Submit({Priority::kInteractive}, std::make_unique<LoggedTask>(log, "query", 2))
          .ok());
  EXPECT_EQ(executor.waiting(Priority::kSampling), 1);
  gate.Open();
  WaitUntilIdle(executor);
  EXPECT_EQ(StepsOnly(log.lines()),
            (std::vector<std::string>{"query", "query", "trace", "trace", "sampling", "sampling"}));
}

TEST(DeviceExecutor, AQueryInterruptsSamplingBetweenTwoSteps) {
  Log log;
  DeviceExecutor executor({});
  int steps = 0;
  const auto submit_query = [&] {
    if (++steps == 2) {
      ASSERT_TRUE(
          executor.Submit({Priority::kInteractive}, std::make_unique<LoggedTask>(log, "query", 2))
              .ok());
    }
  };
  ASSERT_TRUE(
      executor
          .Submit({Priority::kSampling},
                  std::make_unique<LoggedTask>(log, "sampling", 4, CancelToken(), submit_query))
          .ok());
  WaitUntilIdle(executor);
  EXPECT_EQ(StepsOnly(log.lines()), (std::vector<std::string>{"sampling", "sampling", "query",
                                                              "query", "sampling", "sampling"}));
}

TEST(DeviceExecutor, QueriesTakeTurnsAndSamplingRunsDoNot) {
  Log log;
  DeviceExecutor executor({});
  Gate gate(executor);
  for (const char* name : {"s1", "s2"}) {
    ASSERT_TRUE(
        executor.Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, name, 2)).ok());
  }
  for (const char* name : {"q1", "q2"}) {
    ASSERT_TRUE(
        executor.Submit({Priority::kInteractive}, std::make_unique<LoggedTask>(log, name, 2)).ok());
  }
  gate.Open();
  WaitUntilIdle(executor);
  EXPECT_EQ(StepsOnly(log.lines()),
            (std::vector<std::string>{"q1", "q2", "q1", "q2", "s1", "s1", "s2", "s2"}));
}

TEST(DeviceExecutor, ACancelledTaskDoesNotWaitForItsTurn) {
  Log log;
  DeviceExecutor executor({});
  CancelToken cancel;
  Gate gate(executor);
  ASSERT_TRUE(
      executor.Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, "running", 2)).ok());
  ASSERT_TRUE(
      executor
          .Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, "cancelled", 1, cancel))
          .ok());
  cancel.Cancel();
  gate.Open();
  WaitUntilIdle(executor);
  EXPECT_EQ(StepsOnly(log.lines()), (std::vector<std::string>{"cancelled", "running", "running"}));
}

TEST(DeviceExecutor, RefusesMoreThanItsQueueHolds) {
  Log log;
  DeviceExecutor executor({.max_tasks = 2});
  Gate gate(executor);
  EXPECT_TRUE(
      executor.Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, "a", 1)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      executor.Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, "b", 1))));
  gate.Open();
  WaitUntilIdle(executor);
  EXPECT_EQ(StepsOnly(log.lines()), std::vector<std::string>{"a"});
}

TEST(DeviceExecutor, DrainingAbandonsWhatIsLeftAndFreesItOnTheDeviceThread) {
  Log log;
  DeviceExecutor executor({});
  absl::Notification stepping;
  std::thread::id device_thread;
  const auto wait_for_drain = [&] {
    device_thread = std::this_thread::get_id();
    stepping.Notify();
    while (!executor.draining()) std::this_thread::yield();
  };
  ASSERT_TRUE(
      executor
          .Submit({Priority::kSampling},
                  std::make_unique<LoggedTask>(log, "running", 9, CancelToken(), wait_for_drain))
          .ok());
  ASSERT_TRUE(
      executor.Submit({Priority::kSampling}, std::make_unique<LoggedTask>(log, "waiting", 1)).ok());
  stepping.WaitForNotification();
  std::thread::id last_thread;
  executor.Drain([&] {
    last_thread = std::this_thread::get_id();
    log.Add("last");
  });
  EXPECT_EQ(last_thread, device_thread);
  EXPECT_EQ(log.lines(), (std::vector<std::string>{"running", "running abandoned", "running freed",
                                                   "waiting abandoned", "waiting freed", "last"}));
  EXPECT_TRUE(absl::IsUnavailable(
      executor.RunAndWait({Priority::kInteractive}, [] { return absl::OkStatus(); })));
}

TEST(DeviceExecutor, ASharedStepIsChargedToEveryoneWhoseWorkItDid) {
  class SharedTask : public DeviceTask {
   public:
    explicit SharedTask(FakeClock& clock) : clock_(clock) {}
    Outcome Step() override {
      clock_.Advance(absl::Milliseconds(80));
      return Outcome::kDone;
    }
    std::vector<Share> Shares() const override { return {{"red", 0.25}, {"blue", 0.75}}; }
    void Abandon(const absl::Status&) override {}
    FakeClock& clock_;
  };
  FakeClock clock;
  absl::Mutex mutex;
  std::map<std::string, absl::Duration> used;
  DeviceExecutor executor({.clock = &clock, .on_use = [&](const DeviceUse& use) {
                             absl::MutexLock lock(&mutex);
                             used[use.tenant] += use.used;
                           }});
  ASSERT_TRUE(executor.Submit({}, std::make_unique<SharedTask>(clock)).ok());
  WaitUntilIdle(executor);
  absl::MutexLock lock(&mutex);
  EXPECT_EQ(used["red"], absl::Milliseconds(20));
  EXPECT_EQ(used["blue"], absl::Milliseconds(60));
  EXPECT_EQ(executor.busy(), absl::Milliseconds(80));
}

TEST(DeviceExecutor, AStepThatDoesNotEndIsToldOnceAndItsEndToo) {
  FakeClock clock;
  DeviceExecutor executor({.clock = &clock, .stuck_after = absl::Seconds(30)});
  std::vector<bool> told;
  executor.OnStuck([&told](bool stuck) { told.push_back(stuck); });
  clock.Advance(absl::Hours(1));
  executor.Watch();
  EXPECT_FALSE(executor.stuck()) << "who has nothing to do does not hang";

  Gate gate(executor);
  clock.Advance(absl::Seconds(30));
  executor.Watch();
  EXPECT_FALSE(executor.stuck());
  clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(executor.stuck());
  EXPECT_TRUE(told.empty()) << "before anybody has looked";
  executor.Watch();
  executor.Watch();
  EXPECT_EQ(told, std::vector<bool>{true});

  gate.Open();
  WaitUntilIdle(executor);
  EXPECT_FALSE(executor.stuck());
  executor.Watch();
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
}

TEST(DeviceExecutor, WhoAsksLateHearsThatTheDeviceIsStuck) {
  FakeClock clock;
  DeviceExecutor executor({.clock = &clock, .stuck_after = absl::Seconds(30)});
  Gate gate(executor);
  clock.Advance(absl::Minutes(1));
  executor.Watch();
  std::vector<bool> told;
  executor.OnStuck([&told](bool stuck) { told.push_back(stuck); });
  EXPECT_EQ(told, std::vector<bool>{true});
  executor.OnStuck({});
  gate.Open();
  WaitUntilIdle(executor);
  executor.Watch();
  EXPECT_EQ(told, std::vector<bool>{true}) << "nobody listens any more";
}

TEST(DeviceExecutor, RunAndWaitGivesWhatTheFunctionThrewAsAStatus) {
  DeviceExecutor executor({});
  EXPECT_TRUE(absl::IsResourceExhausted(executor.RunAndWait(
      {Priority::kInteractive}, []() -> absl::Status { throw std::bad_alloc(); })));
  EXPECT_TRUE(absl::IsInternal(executor.RunAndWait(
      {Priority::kInteractive}, []() -> absl::Status { throw std::runtime_error("odd"); })));
}

TEST(DeviceExecutor, RunAndWaitGivesTheFunctionsStatus) {
  DeviceExecutor executor({});
  EXPECT_TRUE(absl::IsNotFound(executor.RunAndWait({Priority::kInteractive},
                                                   [] { return absl::NotFoundError("nothing"); })));
}

}  // namespace
}  // namespace bif::jobs
