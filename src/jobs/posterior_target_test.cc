// Runs towards a target on the fake engine: where they stop, that interruptions do not change it,
// and what a budget does.
#include <cmath>
#include <thread>

#include "absl/synchronization/notification.h"
#include "src/attribution/convergence.h"
#include "src/attribution/diagnostics.h"
#include "src/attribution/estimator.h"
#include "src/base/status.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/stopping.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

using attribution::TargetKind;

class PosteriorTargetTest : public JobsFixture {
 protected:
  static constexpr int64_t kRows = 40;
  static constexpr uint32_t kMost = 64;  // draws a chain

  PosteriorTargetTest() {
    checkpoint_ = MakeCheckpoint();
    dataset_ = MakeDataset("train", kRows);
  }

  PosteriorSpec Spec(uint32_t draws) {
    engine::SamplerSettings settings = SomeSettings();
    settings.draws_per_chain = draws;
    settings.step_size =
        0.05;  // neighbouring draws are nearly independent: errors fall as they should
    return {{}, "", checkpoint_, dataset_, settings};
  }
  PosteriorSpec Towards(TargetKind kind, double value, uint32_t most = kMost) {
    PosteriorSpec spec = Spec(8);
    spec.target = TargetSpec{.target = {kind, value, 5}, .max_draws_per_chain = most};
    return spec;
  }
  Operation Run(const PosteriorSpec& spec) {
    const absl::StatusOr<Operation> started = jobs_->posteriors().Create(spec);
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? WaitFor(started->name) : Operation{};
  }
  Stopping StoppingOf(const std::string& posterior) {
    const absl::StatusOr<Posterior> got = jobs_->posteriors().Get(posterior);
    EXPECT_TRUE(got.ok() && got->stopping.has_value()) << got.status();
    return got.ok() ? got->stopping.value_or(Stopping{}) : Stopping{};
  }

  // The median standard error of NORMALIZED_BIF between all rows and the default pilot queries, at
  // the first `draws` draws of a longer run. A row with itself does not count.
  static double MedianStandardError(const Contents& contents, uint32_t draws) {
    const size_t length = contents.traces[0].size() / kRows;
    const auto chains = static_cast<int64_t>(contents.traces.size());
    const auto row = [&](uint32_t r) {
      std::vector<float> values;
      for (const std::vector<float>& chain : contents.traces) {
        const auto begin = chain.begin() + static_cast<int64_t>(r * length);
        values.insert(values.end(), begin, begin + draws);
      }
      return values;
    };
    std::vector<float> sampling_loss;
    for (int64_t c = 0; c < chains; ++c) {
      const auto begin = contents.sampling_loss.begin() + c * static_cast<int64_t>(length);
      sampling_loss.insert(sampling_loss.end(), begin, begin + draws);
    }
    const auto layout = attribution::MakeLayout(
        chains, draws, attribution::AutocorrelationTime(chains, draws, sampling_loss));
    std::vector<double> errors;
    for (const uint32_t query : RandomSlots(kRows, kDefaultPilotQueries)) {
      const auto scorer =
          attribution::Scorer::Create(layout, attribution::Estimator::kNormalizedBif,
                                      attribution::Centring::kPooled, row(query));
      EXPECT_TRUE(scorer.ok()) << scorer.status();
      for (uint32_t r = 0; r < kRows; ++r) {
        attribution::ScoreValue value;
        scorer->Score(row(r), absl::MakeSpan(&value, 1));
        if (r != query) errors.push_back(value.standard_error);
      }
    }
    return attribution::QuantilesOf(errors).median;
  }

  static std::vector<float> Prefix(const std::vector<float>& traces, uint32_t draws) {
    const size_t length = traces.size() / kRows;
    std::vector<float> prefix;
    for (size_t r = 0; r < kRows; ++r) {
      const auto begin = traces.begin() + static_cast<int64_t>(r * length);
      prefix.insert(prefix.end(), begin, begin + draws);
    }
    return prefix;
  }

  // A long run without a target, and the first check point at which it meets a standard error that
  // it does not meet at once.
  struct Expected {
    Contents contents;
    double target = 0;
    uint32_t draws = 0;
  };
  Expected ExpectedStop() {
    Expected expected;
    const Operation operation = Run(Spec(kMost));
    EXPECT_TRUE(operation.error.ok()) << operation.error;
    expected.contents = Read(operation.target);
    EXPECT_TRUE(jobs_->posteriors().Delete(operation.target).ok());
    expected.target = 1.001 * MedianStandardError(expected.contents, 40);
    for (uint32_t draws = 1; draws <= kMost && expected.draws == 0; ++draws) {
      if (IsCheckPoint(draws) && MedianStandardError(expected.contents, draws) <= expected.target) {
        expected.draws = draws;
      }
    }
    EXPECT_GT(expected.draws, kFirstCheckPoint);
    return expected;
  }

  std::string checkpoint_;
  std::string dataset_;
};

TEST(CheckPoints, GrowByAQuarterAtMost) {
  std::vector<uint32_t> points;
  for (uint32_t draws = 0; draws <= 128; ++draws) {
    if (IsCheckPoint(draws)) points.push_back(draws);
  }
  EXPECT_EQ(points, (std::vector<uint32_t>{16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128}));
}

TEST_F(PosteriorTargetTest, ARunStopsAtTheFirstCheckPointThatMeetsItsTarget) {
  const Expected expected = ExpectedStop();
  const Operation operation = Run(Towards(TargetKind::kMedianStandardError, expected.target));
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  const Posterior posterior = *jobs_->posteriors().Get(operation.target);
  EXPECT_EQ(posterior.state, PosteriorState::kReady);
  EXPECT_EQ(posterior.draws_per_chain, expected.draws);
  EXPECT_EQ(posterior.settings.draws_per_chain, expected.draws);
  const Stopping stopping = StoppingOf(operation.target);
  EXPECT_EQ(stopping.reason, StopReason::kTargetMet);
  EXPECT_EQ(stopping.draws_per_chain, expected.draws);
  EXPECT_NEAR(stopping.figure, MedianStandardError(expected.contents, expected.draws),
              1e-6 * stopping.figure);
  EXPECT_EQ(stopping.predicted_draws, expected.draws);
  EXPECT_NE(stopping.explanation.find("is met"), std::string::npos) << stopping.explanation;
  ASSERT_TRUE(operation.progress.draws_done == operation.progress.draws_total);

  // The draws are those of any run of this posterior.
  const Contents contents = Read(operation.target);
  for (size_t c = 0; c < contents.traces.size(); ++c)
    EXPECT_EQ(contents.traces[c], Prefix(expected.contents.traces[c], expected.draws));
}

TEST_F(PosteriorTargetTest, ARestartAtAnyDrawEndsAtTheSameStop) {
  const Expected expected = ExpectedStop();
  const PosteriorSpec spec = Towards(TargetKind::kMedianStandardError, expected.target);
  // Around a check point, the stop itself, and in between.
  for (const uint32_t at_draw : {1u, 15u, 16u, 17u, expected.draws - 1, expected.draws}) {
    absl::Notification reached;
    const int64_t stop_at = engine_.hooks().advance_calls + 1 + at_draw;  // one call of burn-in
    engine_.hooks().on_advance = [&, stop_at](int64_t call) {
      if (call != stop_at) return absl::OkStatus();
      reached.Notify();
      while (!jobs_->executor().draining()) std::this_thread::yield();
      return absl::OkStatus();
    };
    const absl::StatusOr<Operation> started = jobs_->posteriors().Create(spec);
    ASSERT_TRUE(started.ok()) << started.status();
    reached.WaitForNotification();
    jobs_->Drain();
    engine_.hooks().on_advance = nullptr;
    Restart();
    const Operation finished = WaitFor(started->name);
    ASSERT_TRUE(finished.error.ok()) << finished.error;
    const Stopping stopping = StoppingOf(finished.target);
    EXPECT_EQ(stopping.reason, StopReason::kTargetMet) << "stopped at draw " << at_draw;
    EXPECT_EQ(jobs_->posteriors().Get(finished.target)->draws_per_chain, expected.draws)
        << "stopped at draw " << at_draw;
    ASSERT_TRUE(jobs_->posteriors().Delete(finished.target).ok());
  }
}

TEST_F(PosteriorTargetTest, AFailureKeepsWhatIsThereAndTheSameQuestionGoesOnToTheSameStop) {
  const Expected expected = ExpectedStop();
  const PosteriorSpec spec = Towards(TargetKind::kMedianStandardError, expected.target);
  const int64_t failing = engine_.hooks().advance_calls + 1 + 18;
  engine_.hooks().on_advance = [=](int64_t call) {
    return call == failing ? absl::InternalError("injected") : absl::OkStatus();
  };
  const Operation failed = Run(spec);
  EXPECT_EQ(failed.error.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(StoppingOf(failed.target).reason, StopReason::kGoesOn);
  engine_.hooks().on_advance = nullptr;
  const Operation finished = Run(spec);
  ASSERT_TRUE(finished.error.ok()) << finished.error;
  EXPECT_EQ(jobs_->posteriors().Get(finished.target)->draws_per_chain, expected.draws);
}

TEST_F(PosteriorTargetTest, ATargetOutOfReachEndsWithTheBudgetOfDraws) {
  const Operation operation = Run(Towards(TargetKind::kMedianStandardError, 1e-3, 21));
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  const Stopping stopping = StoppingOf(operation.target);
  EXPECT_EQ(stopping.reason, StopReason::kDrawBudget);
  EXPECT_EQ(stopping.draws_per_chain, 21u);
  EXPECT_GT(stopping.figure, 1e-3);
  // Standard errors fall with the root of the draws.
  const double needed = 21 * (stopping.figure / 1e-3) * (stopping.figure / 1e-3);
  EXPECT_NEAR(static_cast<double>(stopping.predicted_draws), needed, 1e-6 * needed + 1);
  EXPECT_EQ(jobs_->posteriors().Get(operation.target)->state, PosteriorState::kReady);
}

TEST_F(PosteriorTargetTest, TheBudgetOfTimeEndsARunAfterTheDrawInTheMaking) {
  engine_.hooks().on_advance = [this](int64_t) {
    clock_.Advance(absl::Seconds(1));
    return absl::OkStatus();
  };
  PosteriorSpec spec = Towards(TargetKind::kMedianStandardError, 1e-6, 0);
  spec.target->max_time = absl::Seconds(10.5);  // one second of burn-in, and then a draw a second
  const Operation operation = Run(spec);
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  const Stopping stopping = StoppingOf(operation.target);
  EXPECT_EQ(stopping.reason, StopReason::kTimeBudget);
  EXPECT_EQ(jobs_->posteriors().Get(operation.target)->draws_per_chain, 10u);
  EXPECT_EQ(stopping.draws_per_chain, 10u);
  EXPECT_GT(stopping.figure, 1e-6);
}

TEST_F(PosteriorTargetTest, ABudgetTooSmallForOneDrawSaysSo) {
  engine_.hooks().on_advance = [this](int64_t) {
    clock_.Advance(absl::Seconds(1));
    return absl::OkStatus();
  };
  PosteriorSpec spec = Towards(TargetKind::kMedianStandardError, 0.1, 0);
  spec.target->max_time = absl::Milliseconds(500);
  const Operation operation = Run(spec);
  EXPECT_TRUE(absl::IsFailedPrecondition(operation.error)) << operation.error;
  EXPECT_NE(operation.error.message().find("max_time"), std::string::npos) << operation.error;
  EXPECT_EQ(jobs_->posteriors().Get(operation.target)->state, PosteriorState::kFailed);
}

TEST_F(PosteriorTargetTest, PilotQueriesOfAnotherDatasetAreTracedAndCarriedAlong) {
  const std::string asked = MakeDataset("asked", 5, 77);
  PosteriorSpec spec = Towards(TargetKind::kWorstStandardError, 1e-6, 24);
  spec.target->pilot_dataset = asked;
  spec.target->pilot_sample_ids = {"r3", "r1"};
  const Operation operation = Run(spec);
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  const Stopping stopping = StoppingOf(operation.target);
  EXPECT_EQ(stopping.draws_per_chain, 24u);
  EXPECT_EQ(stopping.target.pilot_dataset, asked);
  EXPECT_EQ(stopping.target.pilot_sample_ids, (std::vector<std::string>{"r3", "r1"}));

  // They have traces now, and only they.
  ScoreMatrixRequest request;
  request.posterior = operation.target;
  request.queries.dataset = dataset_;
  request.queries.sample_ids = {"r0"};
  request.candidates.dataset = asked;
  std::vector<std::string> traced;
  float worst = 0;
  const auto collect = [&](const ScoreBlock& block) {
    traced.insert(traced.end(), block.candidate_ids.begin(), block.candidate_ids.end());
    return absl::OkStatus();
  };
  ASSERT_TRUE(jobs_->queries().ScoreMatrix(request, CancelToken(), collect).ok());
  EXPECT_EQ(traced, (std::vector<std::string>{"r1", "r3"}));

  // The figure is that of the scores which anybody can ask for.
  request.queries.dataset = asked;
  request.queries.sample_ids = {"r1", "r3"};
  request.candidates.dataset = dataset_;
  request.estimator = attribution::Estimator::kNormalizedBif;
  request.standard_errors = true;
  const auto largest = [&](const ScoreBlock& block) {
    for (const float error : block.standard_errors) worst = std::max(worst, error);
    return absl::OkStatus();
  };
  ASSERT_TRUE(jobs_->queries().ScoreMatrix(request, CancelToken(), largest).ok());
  EXPECT_NEAR(stopping.figure, worst, 1e-5 * worst);
}

TEST_F(PosteriorTargetTest, StabilityAndShareAreTargetsToo) {
  for (const TargetKind kind : {TargetKind::kStability, TargetKind::kDistinguishable}) {
    const Operation operation = Run(Towards(kind, 0.999, 20));
    ASSERT_TRUE(operation.error.ok()) << operation.error;
    const Stopping stopping = StoppingOf(operation.target);
    EXPECT_NE(stopping.reason, StopReason::kGoesOn);
    EXPECT_GE(stopping.figure, 0);
    EXPECT_LE(stopping.figure, 1);
    EXPECT_EQ(stopping.reason == StopReason::kTargetMet, stopping.figure >= 0.999);
    ASSERT_TRUE(jobs_->posteriors().Delete(operation.target).ok());
  }
}

TEST_F(PosteriorTargetTest, TheTargetIsNoPartOfTheKey) {
  const Operation plain = Run(Spec(8));
  const Operation towards = Run(Towards(TargetKind::kMedianStandardError, 1e-6, 20));
  EXPECT_EQ(towards.target, plain.target);
  EXPECT_EQ(jobs_->posteriors().Get(plain.target)->draws_per_chain, 20u);

  // What was reached is not sampled again, and a number of draws makes it a plain run once more.
  const int64_t calls = engine_.hooks().advance_calls;
  EXPECT_EQ(Run(Towards(TargetKind::kMedianStandardError, 1e-6, 20)).name, towards.name);
  EXPECT_EQ(engine_.hooks().advance_calls, calls);
  const Operation longer = Run(Spec(22));
  EXPECT_TRUE(longer.error.ok()) << longer.error;
  EXPECT_FALSE(jobs_->posteriors().Get(plain.target)->stopping.has_value());
}

TEST_F(PosteriorTargetTest, ExtendingTowardsATargetThatIsMetAddsNoDraw) {
  const Operation plain = Run(Spec(30));
  const int64_t calls = engine_.hooks().advance_calls;
  const TargetSpec easy{.target = {TargetKind::kMedianStandardError, 0.99, 10},
                        .max_draws_per_chain = 100};
  const Operation extended = WaitFor(jobs_->posteriors().Extend({}, plain.target, easy)->name);
  ASSERT_TRUE(extended.error.ok()) << extended.error;
  EXPECT_EQ(engine_.hooks().advance_calls, calls);
  const Stopping stopping = StoppingOf(plain.target);
  EXPECT_EQ(stopping.reason, StopReason::kTargetMet);
  EXPECT_EQ(stopping.draws_per_chain, 30u);
  EXPECT_EQ(jobs_->posteriors().Get(plain.target)->draws_per_chain, 30u);
}

TEST_F(PosteriorTargetTest, WhileOneRunsOnlyTheSameTargetJoinsIt) {
  absl::Notification held, go;
  const int64_t at = engine_.hooks().advance_calls + 3;
  engine_.hooks().on_advance = [&, at](int64_t call) {
    if (call == at) {
      held.Notify();
      go.WaitForNotification();
    }
    return absl::OkStatus();
  };
  const PosteriorSpec spec = Towards(TargetKind::kMedianStandardError, 1e-6, 20);
  const Operation running = *jobs_->posteriors().Create(spec);
  held.WaitForNotification();
  const auto same = jobs_->posteriors().Create(spec);
  const auto other = jobs_->posteriors().Create(Towards(TargetKind::kStability, 0.5, 20));
  const auto plain = jobs_->posteriors().Create(Spec(8));
  go.Notify();
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->name, running.name);
  EXPECT_EQ(Reason(other.status()), "POSTERIOR_RUNNING");
  EXPECT_EQ(Reason(plain.status()), "POSTERIOR_RUNNING") << "it may stop before it has 8 draws";
  EXPECT_TRUE(WaitFor(running.name).error.ok());
}

TEST_F(PosteriorTargetTest, ABadTargetIsAFieldErrorAndMakesNothing) {
  const auto with = [&](auto change) {
    PosteriorSpec spec = Towards(TargetKind::kMedianStandardError, 0.1);
    change(*spec.target);
    return spec;
  };
  const struct {
    PosteriorSpec spec;
    std::string field;
  } cases[] = {
      {with([](TargetSpec& t) { t.target.kind = TargetKind{}; }), "target.kind"},
      {with([](TargetSpec& t) { t.target.value = 0; }), "target.value"},
      {with([](TargetSpec& t) { t.target.value = 1; }), "target.value"},
      {with([](TargetSpec& t) { t.target.value = std::nan(""); }), "target.value"},
      {with([](TargetSpec& t) {
         t.target = {TargetKind::kStability, 0.5, 0};
       }),
       "target.k"},
      {with([](TargetSpec& t) {
         t.target = {TargetKind::kStability, 0.5, kRows + 1};
       }),
       "target.k"},
      {with([](TargetSpec& t) { t.max_draws_per_chain = 0; }), "target.max_draws_per_chain"},
      {with([](TargetSpec& t) { t.max_draws_per_chain = 1; }), "target.max_draws_per_chain"},
      {with([](TargetSpec& t) { t.max_draws_per_chain = 2'000'000; }),
       "target.max_draws_per_chain"},
      {with([](TargetSpec& t) { t.max_time = -absl::Seconds(1); }), "target.max_time"},
      {with([](TargetSpec& t) { t.max_time = absl::InfiniteDuration(); }), "target.max_time"},
      {with([](TargetSpec& t) { t.pilot_dataset = "datasets/train"; }), "target.pilot_sample_ids"},
      {with([](TargetSpec& t) {
         t.pilot_sample_ids = {"r1", "r2", "r1"};
       }),
       "target.pilot_sample_ids[2]"},
      {with([](TargetSpec& t) {
         t.pilot_dataset = "nonsense";
         t.pilot_sample_ids = {"r1"};
       }),
       "target.pilot_dataset"},
  };
  for (const auto& c : cases) {
    for (const absl::Status& status : {jobs_->posteriors().Create(c.spec).status(),
                                       jobs_->posteriors().Estimate(c.spec).status()}) {
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.field << ": " << status;
      EXPECT_EQ(FieldPath(status), c.field) << status;
    }
  }
  const auto unknown = with([](TargetSpec& t) { t.pilot_sample_ids = {"nobody"}; });
  EXPECT_TRUE(absl::IsNotFound(jobs_->posteriors().Create(unknown).status()));
  EXPECT_TRUE(jobs_->posteriors().List({})->items.empty());
}

}  // namespace
}  // namespace bif::jobs
