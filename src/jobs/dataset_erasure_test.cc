// The bytes of deleted samples on the fake engine: gone, unless a posterior needs them.
#include <filesystem>

#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

class DatasetErasureTest : public JobsFixture {
 protected:
  // Whether the sample's tensors can still be read from the store.
  bool IsStored(const std::string& dataset, uint32_t ordinal) {
    const auto record = jobs_->datasets().Record(dataset, "dataset");
    EXPECT_TRUE(record.ok()) << record.status();
    const absl::Status read = store_->samples().Read(record->number(), {ordinal}).status();
    EXPECT_TRUE(read.ok() || absl::IsNotFound(read)) << read;
    return read.ok();
  }
  void Delete(const std::string& dataset, const std::vector<std::string>& ids) {
    const auto deleted = jobs_->datasets().DeleteSamples(dataset, ids);
    ASSERT_TRUE(deleted.ok()) << deleted.status();
    ASSERT_EQ(*deleted, static_cast<int64_t>(ids.size()));
  }
  std::string Sample(const std::string& checkpoint, const std::string& dataset) {
    const auto started = jobs_->posteriors().Create({{}, "", checkpoint, dataset, SomeSettings()});
    EXPECT_TRUE(started.ok()) << started.status();
    const Operation done = WaitFor(started->name);
    EXPECT_TRUE(done.error.ok()) << done.error;
    return done.target;
  }
};

TEST_F(DatasetErasureTest, DeletedSamplesAreErasedInTheBackground) {
  const std::string dataset = MakeDataset("train", 300);
  const std::string digest = jobs_->datasets().Get(dataset)->digest;
  Delete(dataset, {"r7", "r8", "r299"});
  jobs_->housekeeping().WaitUntilIdle();
  for (const uint32_t row : {7u, 8u, 299u}) EXPECT_FALSE(IsStored(dataset, row));
  for (const uint32_t row : {6u, 9u, 298u}) EXPECT_TRUE(IsStored(dataset, row));
  const Dataset left = *jobs_->datasets().Get(dataset);
  EXPECT_EQ(left.samples, 297);
  EXPECT_NE(left.digest, digest);
  EXPECT_EQ(jobs_->datasets().ListSamples(dataset, {1000, ""}, 1 << 20)->items.size(), 297u);
}

TEST_F(DatasetErasureTest, APosteriorKeepsItsSamplesUntilItIsGone) {
  const std::string checkpoint = MakeCheckpoint();
  const std::string dataset = MakeDataset("train", 10);
  Delete(dataset, {"r1"});
  const std::string posterior = Sample(checkpoint, dataset);
  Delete(dataset, {"r2"});
  jobs_->housekeeping().WaitUntilIdle();
  EXPECT_FALSE(IsStored(dataset, 1));
  EXPECT_TRUE(IsStored(dataset, 2));
  const auto extended = jobs_->posteriors().Extend({}, posterior, 12);
  ASSERT_TRUE(extended.ok()) << extended.status();
  EXPECT_TRUE(WaitFor(extended->name).error.ok());
  ASSERT_TRUE(jobs_->posteriors().Delete(posterior).ok());
  jobs_->housekeeping().WaitUntilIdle();
  EXPECT_FALSE(IsStored(dataset, 2));
  EXPECT_TRUE(IsStored(dataset, 3));
}

TEST_F(DatasetErasureTest, WhatAStopInterruptedIsDoneAtTheNextStart) {
  const std::string dataset = MakeDataset("train", 300);
  jobs_->housekeeping().Stop();
  Delete(dataset, {"r7"});
  EXPECT_TRUE(IsStored(dataset, 7));
  Restart();
  jobs_->housekeeping().WaitUntilIdle();
  EXPECT_FALSE(IsStored(dataset, 7));
}

TEST_F(DatasetErasureTest, ACancelledErasureIsDoneLater) {
  const std::string dataset = MakeDataset("train", 300);
  jobs_->housekeeping().Stop();
  Delete(dataset, {"r7", "r9"});
  CancelToken cancelled;
  cancelled.Cancel();
  EXPECT_FALSE(jobs_->datasets().EraseDeleted("train", cancelled).ok());
  EXPECT_TRUE(jobs_->datasets().EraseDeleted("train", CancelToken()).ok());
  EXPECT_FALSE(IsStored(dataset, 7));
  EXPECT_TRUE(IsStored(dataset, 8));
}

}  // namespace
}  // namespace bif::jobs
