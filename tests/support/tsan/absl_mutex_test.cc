// That ThreadSanitizer understands Abseil's locks (absl_mutex.cc), and that it still finds what is
// not locked.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace bif::testing {
namespace {

// What ThreadSanitizer says of a program that runs both at once: it ends with 66 where it found
// something.
class TsanDeathTest : public ::testing::Test {
 protected:
  TsanDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  [[noreturn]] static void RunBoth(const std::function<void()>& one,
                                   const std::function<void()>& other) {
    std::thread thread(one);
    other();
    thread.join();
    std::exit(0);
  }
};

int shared = 0;

TEST_F(TsanDeathTest, AnAccessWithoutTheLockIsFound) {
  absl::Mutex mutex;
  const auto locked = [&] {
    for (int i = 0; i < 1000; ++i) {
      absl::MutexLock lock(&mutex);
      ++shared;
    }
  };
  const auto unlocked = [&] {
    for (int i = 0; i < 1000; ++i) ++shared;
  };
  EXPECT_EXIT(RunBoth(locked, unlocked), ::testing::ExitedWithCode(66), "data race");
}

TEST_F(TsanDeathTest, LocksInTwoOrdersAreFound) {
  // Abseil would end the process at the first cycle, before the sanitizer sets the exit code.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  absl::Mutex a, b;
  const auto in_order = [](absl::Mutex& first, absl::Mutex& second) {
    absl::MutexLock outer(&first);
    absl::MutexLock inner(&second);
  };
  EXPECT_EXIT(
      {
        in_order(a, b);
        in_order(b, a);
        std::exit(0);
      },
      ::testing::ExitedWithCode(66), "lock-order-inversion");
}

TEST_F(TsanDeathTest, WhatAMutexGuardsIsNoRace) {
  absl::Mutex mutex;
  const auto write = [&] {
    for (int i = 0; i < 1000; ++i) {
      absl::MutexLock lock(&mutex);
      ++shared;
    }
  };
  const auto read = [&] {
    for (int i = 0; i < 1000; ++i) {
      absl::ReaderMutexLock lock(&mutex);
      if (shared < 0) std::abort();
    }
  };
  EXPECT_EXIT(RunBoth(write, read), ::testing::ExitedWithCode(0), "");
}

TEST_F(TsanDeathTest, WhatAWaitWaitsForIsNoRace) {
  absl::Mutex mutex;
  absl::CondVar changed;
  int turn = 0;  // the threads change `shared` in turns
  const auto take_turns = [&](int own, const std::function<void(const absl::Condition&)>& wait) {
    const std::function<bool()> mine = [&turn, own] { return turn % 2 == own; };
    for (int i = 0; i < 100; ++i) {
      mutex.Lock();
      wait(absl::Condition(&mine));
      mutex.Unlock();
      ++shared;
      mutex.Lock();
      ++turn;
      changed.SignalAll();
      mutex.Unlock();
    }
  };
  const auto await = [&](const absl::Condition& condition) { mutex.Await(condition); };
  const auto await_in_time = [&](const absl::Condition& condition) {
    if (!mutex.AwaitWithTimeout(condition, absl::Minutes(1))) std::abort();
  };
  const auto wait_for_signal = [&](const absl::Condition& condition) {
    while (!condition.Eval()) changed.Wait(&mutex);
  };
  EXPECT_EXIT(RunBoth([&] { take_turns(0, await); }, [&] { take_turns(1, await_in_time); }),
              ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(RunBoth([&] { take_turns(0, wait_for_signal); }, [&] { take_turns(1, await); }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(TsanDeathTest, WhatANotificationTellsIsNoRace) {
  absl::Notification told;
  const auto tell = [&] {
    ++shared;
    told.Notify();
  };
  const auto wait = [&] {
    told.WaitForNotification();
    ++shared;
  };
  const auto look = [&] {
    while (!told.HasBeenNotified()) std::this_thread::yield();
    ++shared;
  };
  EXPECT_EXIT(RunBoth(tell, wait), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(RunBoth(tell, look), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace bif::testing
