#include "src/jobs/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "src/jobs/parallel_for.h"

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
  absl::Notification busy, go_on;  // the task uses them until the pool has ended
  WorkerPool pool({.threads = 1, .max_queued = 1});
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

TEST(ParallelInOrder, HandsOnEveryResultInOrder) {
  WorkerPool pool({.threads = 2});
  std::vector<size_t> seen;
  const absl::Status status = ParallelInOrder<size_t>(
      pool, 3, 100, [](int, size_t i) -> absl::StatusOr<size_t> { return 10 * i; },
      [&](const size_t& result) {
        seen.push_back(result);
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(seen.size(), 100u);
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], 10 * i);
}

TEST(ParallelInOrder, EndsWithTheFirstErrorOfEitherSide) {
  WorkerPool pool({.threads = 1});
  size_t used = 0;
  const auto use = [&](const size_t& result) {
    ++used;
    return result == 5 ? absl::CancelledError("enough") : absl::OkStatus();
  };
  const auto make = [](int, size_t i) -> absl::StatusOr<size_t> { return i; };
  EXPECT_EQ(ParallelInOrder<size_t>(pool, 2, 100, make, use).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(used, 6u);

  used = 0;
  const auto fail = [](int, size_t i) -> absl::StatusOr<size_t> {
    if (i == 0) return absl::DataLossError("damaged");
    return i;
  };
  EXPECT_EQ(ParallelInOrder<size_t>(pool, 2, 100, fail, use).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(used, 0u);
}

}  // namespace
}  // namespace bif::jobs
