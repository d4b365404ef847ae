// Posteriors that keep the losses of their training rows' tokens: they are there when the run is
// done, whatever interrupted it.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "src/base/status.h"
#include "tests/support/sequences_fixture.h"

namespace bif::jobs {
namespace {

class TokenPosteriorTest : public SequencesFixture {
 protected:
  PosteriorSpec TokenSpec() {
    PosteriorSpec spec = SequenceSpecOf();
    spec.settings.draws_per_chain = 6;  // two segments
    spec.token_traces = true;
    return spec;
  }
  Operation Run(const PosteriorSpec& spec) {
    const auto operation = jobs_->posteriors().Create(spec);
    EXPECT_TRUE(operation.ok()) << operation.status();
    const Operation done = WaitFor(operation->name);
    posterior_ = done.target;
    return done;
  }
  // Once, before an Observe after the last draw was committed: it is of tokens.
  void OnFirstTokens(std::function<void()> what) {
    auto done = std::make_shared<std::atomic<bool>>(false);
    engine_.hooks().on_observe = [this, what = std::move(what), done](int64_t) {
      const auto posteriors = jobs_->posteriors().List({});
      if (posteriors.ok() && !posteriors->items.empty() &&
          posteriors->items[0].draws_per_chain == 6 && !done->exchange(true)) {
        what();
      }
      return absl::OkStatus();
    };
  }
  TokenAnswer BetweenTrainingRows() {
    const auto answer = AskTokens(Between(Stored("r4"), Stored("r7")));
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return {};
    EXPECT_EQ(answer->summary.sequences_evaluated, 0u);
    return *answer;
  }
};

TEST_F(TokenPosteriorTest, HasTheTokensOfItsTrainingRowsWhenItIsDone) {
  const PosteriorSpec spec = TokenSpec();
  ASSERT_TRUE(Run(spec).error.ok());
  EXPECT_TRUE(jobs_->posteriors().Get(posterior_)->token_traces);
  const TokenAnswer stored = BetweenTrainingRows();
  // The same sequence as an inline sample is evaluated now, at the same draws.
  const auto inlined = AskTokens(Between(Stored("r4"), InlineTokens({TrainingTokens(7)})));
  ASSERT_TRUE(inlined.ok()) << inlined.status();
  EXPECT_EQ(stored.scores, inlined->scores);
  EXPECT_EQ(stored.standard_errors, inlined->standard_errors);
  EXPECT_FALSE(stored.scores.empty());

  const int64_t calls = engine_.hooks().observe_calls;
  ASSERT_TRUE(Run(spec).error.ok());
  EXPECT_EQ(engine_.hooks().observe_calls, calls) << "a known posterior is not traced again";
}

TEST_F(TokenPosteriorTest, AFailureAtAnyCallIsMadeGoodByTheNextRun) {
  const PosteriorSpec spec = TokenSpec();
  ASSERT_TRUE(Run(spec).error.ok());
  const TokenAnswer baseline = BetweenTrainingRows();
  std::atomic<bool> failed = true;
  // How many calls a run takes depends on their time.
  for (int64_t failing = 1; failed; ++failing) {
    ASSERT_TRUE(jobs_->posteriors().Delete(posterior_).ok());
    const int64_t start = engine_.hooks().observe_calls;
    failed = false;
    engine_.hooks().on_observe = [&failed, start, failing](int64_t call) {
      if (call != start + failing) return absl::OkStatus();
      failed = true;
      return absl::InternalError("injected");
    };
    const bool well = Run(spec).error.ok();
    EXPECT_EQ(well, !failed) << failing;
    engine_.hooks().on_observe = nullptr;
    ASSERT_TRUE(Run(spec).error.ok());
    EXPECT_EQ(BetweenTrainingRows().scores, baseline.scores) << "failed at call " << failing;
  }
}

TEST_F(TokenPosteriorTest, ARestartWhileTokensAreTracedGoesOn) {
  const PosteriorSpec spec = TokenSpec();
  ASSERT_TRUE(Run(spec).error.ok());
  const TokenAnswer baseline = BetweenTrainingRows();
  ASSERT_TRUE(jobs_->posteriors().Delete(posterior_).ok());

  absl::Notification reached;
  OnFirstTokens([&] {
    reached.Notify();
    while (!jobs_->executor().draining()) std::this_thread::yield();
  });
  const auto started = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(started.ok()) << started.status();
  reached.WaitForNotification();
  jobs_->Drain();
  EXPECT_FALSE(jobs_->operations().Get(started->name)->done);
  engine_.hooks().on_observe = nullptr;
  const int64_t steps = engine_.hooks().advance_calls;
  Restart();
  ASSERT_TRUE(WaitFor(started->name).error.ok());
  EXPECT_EQ(engine_.hooks().advance_calls, steps) << "its draws were there";
  EXPECT_EQ(BetweenTrainingRows().scores, baseline.scores);
}

TEST_F(TokenPosteriorTest, CancelledWhileTokensAreTracedItGoesOnWhenItIsCreatedAgain) {
  const PosteriorSpec spec = TokenSpec();
  absl::Notification reached, cancelled;
  OnFirstTokens([&] {
    reached.Notify();
    cancelled.WaitForNotification();
  });
  const auto started = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(started.ok()) << started.status();
  reached.WaitForNotification();
  ASSERT_TRUE(jobs_->operations().Cancel(started->name).ok());
  cancelled.Notify();
  EXPECT_EQ(WaitFor(started->name).error.code(), absl::StatusCode::kCancelled);
  engine_.hooks().on_observe = nullptr;
  ASSERT_TRUE(Run(spec).error.ok());
  BetweenTrainingRows();
}

TEST_F(TokenPosteriorTest, ExtendingEvaluatesTheTokensAtTheNewDrawsOnly) {
  const PosteriorSpec spec = TokenSpec();
  ASSERT_TRUE(Run(spec).error.ok());
  const int64_t rows = engine_.hooks().observed_rows;
  Extend(10);
  // Four draws of two chains, for the sequences' own losses and for those of their tokens, and once
  // the tokens at w*.
  EXPECT_EQ(engine_.hooks().observed_rows - rows, 2 * kSequences * 4 * 2 + kSequences);
  BetweenTrainingRows();
}

TEST_F(TokenPosteriorTest, CostsAPassMore) {
  PosteriorSpec spec = TokenSpec();
  const auto tokens = jobs_->posteriors().Estimate(spec);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  spec.token_trace_type = storage::TraceType::kFloat16;
  const auto halves = jobs_->posteriors().Estimate(spec);
  spec.token_traces = false;
  const auto losses = jobs_->posteriors().Estimate(spec);
  EXPECT_EQ(tokens->forward_samples - losses->forward_samples, kSequences * 2 * 6);
  EXPECT_EQ(tokens->disk_bytes - losses->disk_bytes, 2 * (halves->disk_bytes - losses->disk_bytes));
  EXPECT_GT(halves->disk_bytes, losses->disk_bytes);
}

TEST_F(TokenPosteriorTest, NeedsSequences) {
  PosteriorSpec spec;
  spec.checkpoint = MakeCheckpoint();
  spec.dataset = MakeDataset("rows", 20);
  spec.settings = SomeSettings();
  spec.token_traces = true;
  EXPECT_EQ(FieldPath(jobs_->posteriors().Create(spec).status()), "granularity");
  EXPECT_TRUE(jobs_->posteriors().List({})->items.empty());
}

}  // namespace
}  // namespace bif::jobs
