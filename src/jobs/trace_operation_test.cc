// Traces of samples that were added later.
#include "src/jobs/trace_operation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "src/base/status.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

class TraceOperationTest : public QueriesFixture {
 protected:
  Operation Trace(const std::string& dataset, std::vector<std::string> ids = {},
                  RequestId request = {}) {
    const auto operation =
        jobs_->queries().TraceSamples({request, posterior_, dataset, std::move(ids)});
    EXPECT_TRUE(operation.ok()) << operation.status();
    return operation.ok() ? WaitFor(operation->name) : Operation();
  }
};

TEST_F(TraceOperationTest, NewSamplesBecomeCandidates) {
  SampleIt();
  MakeDataset("more", 20, 5);
  AttributeRequest request = Ask(Inline(1));
  request.candidates.dataset = "datasets/more";
  EXPECT_EQ(ErrorOf(request).code(), absl::StatusCode::kFailedPrecondition);

  const Operation some = Trace("datasets/more", {"r3", "r1"});
  EXPECT_TRUE(some.error.ok()) << some.error;
  EXPECT_EQ(some.result.rows_traced, 2);
  const Operation all = Trace("datasets/more");
  EXPECT_EQ(all.result.rows_traced, 18);
  EXPECT_EQ(all.result.rows_already_there, 2);
  EXPECT_EQ(Trace("datasets/more").result.rows_already_there, 20);

  request.top_k = 20;
  EXPECT_EQ(Answer(request).rankings[0].helpful.size(), 20u);
  // The same rows asked as queries have the same traces: they were evaluated at the same draws.
  const Traces stored = Export({{}, "datasets/more", {"r0", "r1", "r2", "r3"}});
  SampleSet as_queries;
  const SampleBatch batch = SomeRows(20, 5);
  for (const std::string& id : stored.ids)
    as_queries.inline_samples.push_back(SampleAt(batch, std::stoi(id.substr(1)), ""));
  EXPECT_EQ(Export(as_queries).values, stored.values);
}

TEST_F(TraceOperationTest, RowsAppendedToTheTrainingDatasetAreTracedBehindTheTrainingRows) {
  SampleIt();
  auto append = jobs_->datasets().StartAppend({}, "datasets/train");
  ASSERT_TRUE(append.ok());
  ASSERT_TRUE((*append)->Add(SomeRows(3, 77), {"new0", "new1", "new2"}).ok());
  ASSERT_TRUE((*append)->Commit().ok());
  EXPECT_EQ(Export({{}, "datasets/train", {}}).ids.size(), static_cast<size_t>(kTrainingRows));
  const Operation operation = Trace("datasets/train");
  EXPECT_EQ(operation.result.rows_traced, 3);
  EXPECT_EQ(operation.result.rows_already_there, kTrainingRows);
  const Traces rows = Export({{}, "datasets/train", {}});
  ASSERT_EQ(rows.ids.size(), static_cast<size_t>(kTrainingRows + 3));
  EXPECT_EQ(rows.ids.back(), "new2");
  // Self-influence has their losses at w* too.
  size_t count = 0;
  EXPECT_TRUE(jobs_->queries()
                  .SelfInfluence({posterior_, {}}, CancelToken(),
                                 [&](const SelfInfluenceBlock& block) {
                                   count += block.anchor_losses.size();
                                   return absl::OkStatus();
                                 })
                  .ok());
  EXPECT_EQ(count, static_cast<size_t>(kTrainingRows + 3));
}

TEST_F(TraceOperationTest, RowsGetTheDrawsThatTheirPosteriorGotMeanwhile) {
  SampleIt();
  MakeDataset("more", 6, 5);
  // The device stands in the extension's second draw while the rows are asked for, then in their
  // first evaluation while the extension is cancelled: that commits two draws which the evaluation
  // does not know.
  absl::Notification drawing, draw, tracing, trace;
  const int64_t first = engine_.hooks().advance_calls + 1;
  engine_.hooks().on_advance = [&](int64_t call) {
    if (call == first + 1) {
      drawing.Notify();
      draw.WaitForNotification();
    }
    return absl::OkStatus();
  };
  const auto extension = jobs_->posteriors().Extend({}, posterior_, kDraws + 5);
  ASSERT_TRUE(extension.ok()) << extension.status();
  drawing.WaitForNotification();
  engine_.hooks().on_observe = [&](int64_t) {
    if (!tracing.HasBeenNotified()) tracing.Notify();
    trace.WaitForNotification();
    return absl::OkStatus();
  };
  const auto operation = jobs_->queries().TraceSamples({{}, posterior_, "datasets/more", {}});
  ASSERT_TRUE(operation.ok()) << operation.status();
  draw.Notify();
  tracing.WaitForNotification();
  ASSERT_TRUE(jobs_->operations().Cancel(extension->name).ok());
  trace.Notify();
  EXPECT_TRUE(absl::IsCancelled(WaitFor(extension->name).error));
  const Operation done = WaitFor(operation->name);
  EXPECT_TRUE(done.error.ok()) << done.error;
  EXPECT_EQ(done.result.rows_traced, 6);
  EXPECT_EQ(jobs_->posteriors().Get(posterior_)->draws_per_chain, kDraws + 2);
  EXPECT_EQ(Export({{}, "datasets/more", {}}).layout.draws, kDraws + 2);
  EXPECT_EQ(Trace("datasets/more").result.rows_already_there, 6);
}

TEST_F(TraceOperationTest, GoesOnAfterARestart) {
  SampleIt();
  MakeDataset("more", 10, 5);
  // The device stands in the job's first evaluation until the executor has begun to drain.
  absl::Notification entered;
  absl::Notification release;
  engine_.hooks().on_observe = [&](int64_t) {
    if (!entered.HasBeenNotified()) entered.Notify();
    release.WaitForNotification();
    return absl::OkStatus();
  };
  const auto operation = jobs_->queries().TraceSamples({{}, posterior_, "datasets/more", {}});
  ASSERT_TRUE(operation.ok()) << operation.status();
  entered.WaitForNotification();
  std::thread drain([&] { jobs_->Drain(); });
  struct Nothing : DeviceTask {
    Outcome Step() override { return Outcome::kDone; }
    void Abandon(const absl::Status&) override {}
  };
  while (!absl::IsUnavailable(
      jobs_->executor().Submit({Priority::kSampling}, std::make_unique<Nothing>()))) {
    std::this_thread::yield();
  }
  release.Notify();
  drain.join();
  engine_.hooks().on_observe = nullptr;
  const auto stopped = jobs_->operations().Get(operation->name);
  ASSERT_TRUE(stopped.ok());
  EXPECT_FALSE(stopped->done);

  Restart();
  const Operation done = WaitFor(operation->name);
  EXPECT_TRUE(done.error.ok()) << done.error;
  EXPECT_EQ(done.result.rows_traced, 10);
  EXPECT_EQ(Export({{}, "datasets/more", {}}).ids.size(), 10u);
}

TEST_F(TraceOperationTest, TheSameRequestIdIsTheSameOperation) {
  SampleIt();
  MakeDataset("more", 4, 5);
  const Operation first = Trace("datasets/more", {}, {"default", "abc"});
  EXPECT_EQ(Trace("datasets/more", {}, {"default", "abc"}).name, first.name);
  ASSERT_TRUE(jobs_->datasets().Delete("datasets/more").ok());
  EXPECT_EQ(Trace("datasets/more", {}, {"default", "abc"}).name, first.name)
      << "though there is nothing to trace any more";
  const auto other =
      jobs_->queries().TraceSamples({{"default", "abc"}, posterior_, "datasets/more", {"r1"}});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TraceOperationTest, RefusesUnknownSamplesAndDatasets) {
  SampleIt();
  EXPECT_EQ(
      jobs_->queries().TraceSamples({{}, posterior_, "datasets/train", {"nobody"}}).status().code(),
      absl::StatusCode::kNotFound);
  EXPECT_EQ(jobs_->queries().TraceSamples({{}, posterior_, "datasets/none", {}}).status().code(),
            absl::StatusCode::kNotFound);
  MakeDataset("empty", 0);
  EXPECT_EQ(
      FieldPath(jobs_->queries().TraceSamples({{}, posterior_, "datasets/empty", {}}).status()),
      "dataset");
}

}  // namespace
}  // namespace bif::jobs
