// Rows that were traced after sampling, while their posterior grows.
#include "src/jobs/carried_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

class CarriedRowsTest : public QueriesFixture {
 protected:
  static constexpr int64_t kMore = 270;  // more than one block of slots

  // 300 training rows, three that were added and traced later, and 270 of another dataset.
  void SampleAndTrace() {
    SampleIt();
    auto append = jobs_->datasets().StartAppend({}, "datasets/train");
    ASSERT_TRUE(append.ok());
    ASSERT_TRUE((*append)->Add(SomeRows(3, 77), {"new0", "new1", "new2"}).ok());
    ASSERT_TRUE((*append)->Commit().ok());
    MakeDataset("more", kMore, 5);
    TraceAll("datasets/train");
    TraceAll("datasets/more");
  }
  void TraceAll(const std::string& dataset) {
    const auto operation = jobs_->queries().TraceSamples({{}, posterior_, dataset, {}});
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_TRUE(WaitFor(operation->name).error.ok());
  }
  uint32_t Committed() { return jobs_->posteriors().Get(posterior_)->draws_per_chain; }
  // Starts an extension, waits for its end, and gives its error.
  absl::Status ExtendTo(uint32_t draws) {
    const auto operation = jobs_->posteriors().Extend({}, posterior_, draws);
    EXPECT_TRUE(operation.ok()) << operation.status();
    return operation.ok() ? WaitFor(operation->name).error : operation.status();
  }
  // All traced rows are candidates, at every committed draw.
  void ExpectAllCarried() {
    const Traces training = Export({{}, "datasets/train", {}});
    EXPECT_EQ(training.ids.size(), static_cast<size_t>(kTrainingRows + 3));
    const Traces more = Export({{}, "datasets/more", {}});
    EXPECT_EQ(more.ids.size(), static_cast<size_t>(kMore));
    EXPECT_EQ(more.layout.draws, Committed());
  }
  // What is stored is what the same samples have as queries, which are evaluated at the stored
  // draws.
  void ExpectLossesAtTheStoredDraws() {
    std::vector<std::string> ids;
    for (int64_t r = 0; r < kMore; r += 2) ids.push_back(absl::StrCat("r", r));
    const Traces stored = Export({{}, "datasets/more", ids});
    SampleSet as_queries;
    const SampleBatch batch = SomeRows(kMore, 5);
    for (const std::string& id : stored.ids)
      as_queries.inline_samples.push_back(SampleAt(batch, std::stoi(id.substr(1)), ""));
    EXPECT_EQ(Export(as_queries).values, stored.values);
  }
  // Blocks the device in the `nth` evaluation from now on.
  void HoldEvaluation(int64_t nth) {
    const int64_t held = engine_.hooks().observe_calls + nth;
    engine_.hooks().on_observe = [this, held](int64_t call) {
      if (call == held) {
        entered_.Notify();
        release_.WaitForNotification();
      }
      return absl::OkStatus();
    };
  }

  absl::Notification entered_, release_;
};

TEST_F(CarriedRowsTest, AnExtensionEvaluatesThemAtItsNewDrawsOnly) {
  SampleAndTrace();
  const int64_t before = engine_.hooks().observed_rows;
  ASSERT_TRUE(ExtendTo(kDraws + 5).ok());
  EXPECT_EQ(engine_.hooks().observed_rows - before, (kTrainingRows + 3 + kMore) * kChains * 5);
  EXPECT_EQ(Committed(), kDraws + 5);
  ExpectAllCarried();
  ExpectLossesAtTheStoredDraws();
  Restart();
  ExpectAllCarried();
  ExpectLossesAtTheStoredDraws();
}

TEST_F(CarriedRowsTest, AFailureAtAnyEvaluationLeavesThemLevelWithThePosterior) {
  SampleAndTrace();
  int64_t failures = 0;
  absl::Status ended = absl::InternalError("");
  while (!ended.ok()) {
    const int64_t failing = engine_.hooks().observe_calls + ++failures;
    engine_.hooks().on_observe = [failing](int64_t call) {
      return call == failing ? absl::InternalError("injected") : absl::OkStatus();
    };
    ended = ExtendTo(kDraws + 12);  // four segments
    engine_.hooks().on_observe = nullptr;
    ExpectAllCarried();
    ExpectLossesAtTheStoredDraws();
    ASSERT_LT(failures, 100);
  }
  EXPECT_GT(failures, 5);
  EXPECT_EQ(Committed(), kDraws + 12);
}

TEST_F(CarriedRowsTest, ACancelledExtensionKeepsTheSegmentWhoseRowsAreJustEvaluated) {
  SampleAndTrace();
  HoldEvaluation(4);  // after three draws of training rows
  const auto operation = jobs_->posteriors().Extend({}, posterior_, kDraws + 12);
  ASSERT_TRUE(operation.ok()) << operation.status();
  entered_.WaitForNotification();
  ASSERT_TRUE(jobs_->operations().Cancel(operation->name).ok());
  release_.Notify();
  EXPECT_TRUE(absl::IsCancelled(WaitFor(operation->name).error));
  EXPECT_EQ(Committed(), kDraws + 3);
  ExpectAllCarried();
}

TEST_F(CarriedRowsTest, ProgressSaysThatTheyAreBeingTraced) {
  SampleAndTrace();
  HoldEvaluation(5);
  const auto operation = jobs_->posteriors().Extend({}, posterior_, kDraws + 3);
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_EQ(operation->progress.estimate->forward_samples,
            kTrainingRows + (kTrainingRows + 3 + kMore) * kChains * 3);
  entered_.WaitForNotification();
  EXPECT_EQ(jobs_->operations().Get(operation->name)->progress.stage, "tracing");
  release_.Notify();
  EXPECT_TRUE(WaitFor(operation->name).error.ok());
}

TEST_F(CarriedRowsTest, DeletedSamplesAreLeftBehind) {
  SampleAndTrace();
  ASSERT_TRUE(jobs_->datasets().DeleteSamples("datasets/more", {"r7"}).ok());
  const int64_t before = engine_.hooks().observed_rows;
  ASSERT_TRUE(ExtendTo(kDraws + 2).ok());
  EXPECT_EQ(engine_.hooks().observed_rows - before, (kTrainingRows + 3 + kMore - 1) * kChains * 2);
  EXPECT_EQ(Export({{}, "datasets/more", {}}).ids.size(), static_cast<size_t>(kMore - 1));
}

}  // namespace
}  // namespace bif::jobs
