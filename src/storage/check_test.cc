#include "src/storage/check.h"

#include <gtest/gtest.h>

namespace bif::storage {
namespace {

TEST(CheckRun, CountsWhatItSees) {
  CheckOptions options;
  int told = 0, progress = 0;
  options.on_damage = [&](const Damage&) { ++told; };
  options.on_progress = [&](const CheckSummary&) { ++progress; };
  CheckRun run(options);
  EXPECT_TRUE(run.Looked(10).ok());
  EXPECT_TRUE(run.Looked(5).ok());
  run.Found({"a", "b", "c"});
  EXPECT_EQ(run.summary().objects, 2);
  EXPECT_EQ(run.summary().bytes, 15);
  EXPECT_EQ(run.summary().damaged, 1);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(progress, 2);
}

TEST(CheckRun, ACancelledOneDoesNotWaitForItsRate) {
  CheckOptions options;
  options.bytes_per_second = 1;  // the object below would take more than 30 years
  options.on_progress = [&](const CheckSummary&) { options.cancel.Cancel(); };
  CheckRun run(options);
  EXPECT_EQ(run.Looked(int64_t{1} << 30).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace bif::storage
