#include "src/jobs/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"

namespace bif::jobs {
namespace {

TEST(WorkerPool, DrainingRunsWhatIsQueuedAndRefusesMore) {
  WorkerPool pool({.threads = 2});
  std::atomic<int> ran{0};
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(pool.Submit([&ran] { ++ran; }).ok());
  pool.Drain();
  EXPECT_EQ(ran, 50);
  EXPECT_TRUE(absl::IsUnavailable(pool.Submit([] {})));
}

TEST(WorkerPool, RefusesMoreThanItsQueueHolds) {
  WorkerPool pool({.threads = 1, .max_queued = 1});
  absl::Notification busy, go_on;
  ASSERT_TRUE(pool.Submit([&] {
                    busy.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  busy.WaitForNotification();
  EXPECT_TRUE(pool.Submit([] {}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(pool.Submit([] {})));
  go_on.Notify();
}

}  // namespace
}  // namespace bif::jobs
