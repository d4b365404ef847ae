#include "src/jobs/scrubber.h"

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "tests/support/segment_writer.h"
#include "tests/support/test_directory.h"

namespace bif::jobs {
namespace {

using storage::CheckSummary;
using storage::Damage;
using storage::FlipBit;

class ScrubberTest : public ::testing::Test {
 protected:
  ScrubberTest() {
    storage::SegmentWriter(directory_.store()).WriteMany(2);
    options_.bytes_per_second = 0;
    Start();
  }
  void Start() {
    scrubber_ = std::make_unique<Scrubber>(directory_.store(), clock_, options_);
    ASSERT_TRUE(scrubber_->Recover().ok());
  }
  std::string DrawFile() { return directory_.root() + "/draws/1/c0000-d00000000-00000003.draws"; }

  storage::TestDirectory directory_;
  FakeClock clock_;
  Scrubber::Options options_;
  std::unique_ptr<Scrubber> scrubber_;
};

TEST_F(ScrubberTest, ScrubsOnceAPeriod) {
  EXPECT_FALSE(scrubber_->last().has_value());
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  const uint64_t objects = scrubber_->objects();
  EXPECT_GT(objects, 20u);
  ASSERT_TRUE(scrubber_->last().has_value());
  EXPECT_EQ(scrubber_->last()->damaged, 0);
  EXPECT_EQ(scrubber_->last()->end, clock_.Now());

  clock_.Advance(options_.period - absl::Seconds(1));
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  EXPECT_EQ(scrubber_->objects(), objects) << "it was not due";
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  EXPECT_GT(scrubber_->objects(), objects);
}

TEST_F(ScrubberTest, WhatItFoundIsKeptOverRestarts) {
  FlipBit(DrawFile(), 80);
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  const absl::Time end = clock_.Now();
  scrubber_.reset();
  directory_.CrashAndReopen();
  clock_.Advance(absl::Hours(1));
  Start();
  ASSERT_TRUE(scrubber_->last().has_value());
  EXPECT_EQ(scrubber_->last()->damaged, 1);
  EXPECT_EQ(scrubber_->last()->end, end);
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  EXPECT_EQ(scrubber_->objects(), 0u) << "an hour later it is not due";
}

TEST_F(ScrubberTest, ZeroMeansNever) {
  options_.period = absl::ZeroDuration();
  Start();
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  EXPECT_EQ(scrubber_->objects(), 0u);
}

TEST_F(ScrubberTest, WhoeverAsksGoesBeforeThePeriodicOne) {
  options_.bytes_per_second = 1;  // it would take days
  Start();
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  FlipBit(DrawFile(), 80);
  std::vector<std::string> found;
  storage::CheckOptions options;
  options.on_damage = [&](const Damage& damage) { found.push_back(damage.object); };
  const auto summary = scrubber_->Run(options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(found.size(), 1u);
  EXPECT_EQ(scrubber_->last()->damaged, 1) << "it counts as the periodic one";
}

TEST_F(ScrubberTest, StopEndsWhatGoesOn) {
  options_.bytes_per_second = 1;
  Start();
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->Stop();
  EXPECT_FALSE(scrubber_->last().has_value()) << "one that was cut off does not count";
  ASSERT_TRUE(scrubber_->StartIfDue().ok());
  scrubber_->WaitUntilIdle();
  EXPECT_EQ(scrubber_->Run({}).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace bif::jobs
