#include "src/jobs/taken_together.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"

namespace bif::jobs {
namespace {

struct Asked {
  int number = 0;
  size_t served_with = 0;
};

class TakenTogetherTest : public ::testing::Test {
 protected:
  // The first call serves only once all others have come.
  void Serve(const std::string& key, Asked& own, size_t size = 1) {
    together_.Serve(key, own, size, [this](const std::vector<Asked*>& all) {
      if (all[0]->number == 1) {
        begun_.Notify();
        release_.WaitForNotification();
      }
      for (Asked* one : all) one->served_with = all.size();
    });
  }

  TakenTogether<Asked> together_{10};
  absl::Notification begun_;
  absl::Notification release_;
};

TEST_F(TakenTogetherTest, WhoComesAloneIsServedAlone) {
  Asked asked{.number = 2};
  Serve("key", asked);
  Serve("key", asked);
  EXPECT_EQ(asked.served_with, 1u);
}

TEST_F(TakenTogetherTest, AnotherKeyDoesNotWait) {
  Asked first{.number = 1}, other{.number = 2};
  std::thread thread([&] { Serve("key", first); });
  begun_.WaitForNotification();
  Serve("other", other);
  EXPECT_EQ(other.served_with, 1u);
  release_.Notify();
  thread.join();
}

TEST_F(TakenTogetherTest, EveryoneIsServedOnceAndNoGroupIsLargerThanAllowed) {
  constexpr int kOthers = 40;
  std::vector<Asked> asked(1 + kOthers);
  std::vector<std::thread> threads;
  asked[0].number = 1;
  threads.emplace_back([&] { Serve("key", asked[0]); });
  begun_.WaitForNotification();
  for (int i = 1; i <= kOthers; ++i) {
    asked[i].number = 1 + i;
    threads.emplace_back([this, &asked, i] { Serve("key", asked[i], 3); });
  }
  release_.Notify();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(asked[0].served_with, 1u);
  for (const Asked& one : asked) {
    EXPECT_GE(one.served_with, 1u);
    EXPECT_LE(one.served_with, 3u);  // of size 3 each
  }
}

TEST_F(TakenTogetherTest, WhatIsThrownReachesAllWhomItWasToServeAndNobodyLater) {
  const auto fail = [](const std::vector<Asked*>&) { throw std::bad_alloc(); };
  Asked first{.number = 1};
  std::vector<Asked> others(3, Asked{.number = 2});
  std::vector<std::thread> threads;
  std::atomic<int> thrown = 0;
  threads.emplace_back([&] { Serve("key", first); });
  begun_.WaitForNotification();
  for (Asked& other : others) {
    threads.emplace_back([&] {
      try {
        together_.Serve("key", other, 1, fail);
      } catch (const std::bad_alloc&) {
        ++thrown;
      }
    });
  }
  release_.Notify();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(thrown, 3);
  Asked later{.number = 3};
  Serve("key", later);
  EXPECT_EQ(later.served_with, 1u);
}

TEST_F(TakenTogetherTest, OneThatIsTooLargeIsServedAlone) {
  Asked asked{.number = 2};
  Serve("key", asked, 11);
  EXPECT_EQ(asked.served_with, 1u);
}

}  // namespace
}  // namespace bif::jobs
