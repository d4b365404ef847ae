// Runs of the posterior job on the fake engine: what is stored, and that interruptions leave no
// mark.
#include <cmath>
#include <cstring>
#include <thread>

#include "absl/synchronization/notification.h"
#include "src/engine/draw_codec.h"
#include "src/jobs/trace_arrays.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

class PosteriorJobTest : public JobsFixture {
 protected:
  PosteriorJobTest() {
    checkpoint_ = MakeCheckpoint();
    dataset_ = MakeDataset("train", 10);
  }

  PosteriorSpec Spec(const engine::SamplerSettings& settings) {
    return {{}, "", checkpoint_, dataset_, settings};
  }

  // Starts or goes on; gives the operation as it ended.
  Operation Run(const engine::SamplerSettings& settings) {
    const absl::StatusOr<Operation> started = jobs_->posteriors().Create(Spec(settings));
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? WaitFor(started->name) : Operation{};
  }

  // What an undisturbed run makes.
  Contents Baseline(const engine::SamplerSettings& settings) {
    const Operation operation = Run(settings);
    EXPECT_TRUE(operation.error.ok()) << operation.error;
    const Contents contents = Read(operation.target);
    EXPECT_TRUE(jobs_->posteriors().Delete(operation.target).ok());
    return contents;
  }

  void ClearHooks() {
    engine_.hooks().on_advance = nullptr;
    engine_.hooks().on_observe = nullptr;
    engine_.hooks().loss_is_nan = nullptr;
  }

  std::string checkpoint_;
  std::string dataset_;
};

TEST_F(PosteriorJobTest, TracesAreTheLossesAtTheStoredWeights) {
  engine::SamplerSettings settings = SomeSettings();
  settings.draw_codec =
      engine::DrawCodec::kInt4Block;  // coarse: exact weights would give other losses
  const Operation operation = Run(settings);
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  const Contents contents = Read(operation.target);
  ASSERT_EQ(contents.draws.size(), 16u);

  const SampleBatch rows = SomeRows(10);
  const float anchor[4] = {0.5f, -0.25f, 1.0f, 0.0f};
  std::vector<float> features(40), targets(10);
  std::memcpy(features.data(), rows.columns[0].data.data(), 160);
  std::memcpy(targets.data(), rows.columns[1].data.data(), 40);
  double moved = 0;
  for (uint32_t chain = 0; chain < 2; ++chain) {
    for (uint32_t draw = 0; draw < 8; ++draw) {
      std::vector<float> delta(4);
      ASSERT_TRUE(engine::DecodeDraw(settings.draw_codec, contents.draws[chain * 8 + draw],
                                     absl::MakeSpan(delta))
                      .ok());
      for (int row = 0; row < 10; ++row) {
        double residual = -targets[row];
        for (int d = 0; d < 4; ++d)
          residual += static_cast<double>(anchor[d] + delta[d]) * features[row * 4 + d];
        EXPECT_FLOAT_EQ(contents.traces[chain][row * 8 + draw],
                        static_cast<float>(0.5 * residual * residual));
      }
      for (const float d : delta) moved += std::abs(d);
    }
  }
  EXPECT_GT(moved, 0);
  EXPECT_NE(contents.traces[0], contents.traces[1]);
  const Posterior posterior = *jobs_->posteriors().Get(operation.target);
  EXPECT_EQ(posterior.state, PosteriorState::kReady);
  EXPECT_EQ(posterior.draws_per_chain, 8u);
  EXPECT_EQ(posterior.steps_between_draws, 2u);
  EXPECT_EQ(posterior.moving_parameters, 4);
  EXPECT_GT(posterior.disk_bytes, 0);
}

TEST_F(PosteriorJobTest, AnchorLossesAreKeptPerRow) {
  const Operation operation = Run(SomeSettings());
  const Contents contents = Read(operation.target);
  const SampleBatch rows = SomeRows(10);
  std::vector<float> features(40), targets(10);
  std::memcpy(features.data(), rows.columns[0].data.data(), 160);
  std::memcpy(targets.data(), rows.columns[1].data.data(), 40);
  for (int row = 0; row < 10; ++row) {
    const double residual = 0.5 * features[row * 4] - 0.25 * features[row * 4 + 1] +
                            features[row * 4 + 2] - targets[row];
    EXPECT_FLOAT_EQ(contents.anchor_losses[row], static_cast<float>(0.5 * residual * residual));
  }
}

TEST_F(PosteriorJobTest, AFailureAtAnyCallCostsNothingThatIsCommittedAndNoBit) {
  for (const engine::Algorithm algorithm :
       {engine::Algorithm::kSgld, engine::Algorithm::kRmspropSgld}) {
    engine::SamplerSettings settings = SomeSettings();
    settings.algorithm = algorithm;
    const int64_t first_call = engine_.hooks().advance_calls;
    const Contents baseline = Baseline(settings);
    const int64_t calls = engine_.hooks().advance_calls - first_call;
    ASSERT_EQ(calls, 9);  // burn-in and eight draws
    const int64_t every = algorithm == engine::Algorithm::kSgld ? 1 : 4;
    for (int64_t failing = 1; failing <= calls; failing += every) {
      const int64_t start = engine_.hooks().advance_calls;
      engine_.hooks().on_advance = [=](int64_t call) {
        return call == start + failing ? absl::InternalError("injected") : absl::OkStatus();
      };
      const Operation failed = Run(settings);
      EXPECT_EQ(failed.error.code(), absl::StatusCode::kInternal);
      const Posterior kept = *jobs_->posteriors().Get(failed.target);
      EXPECT_EQ(kept.state, PosteriorState::kFailed);
      EXPECT_EQ(kept.draws_per_chain,
                failing < 2 ? 0 : (failing - 2) / 3 * 3);  // segments of three draws
      ClearHooks();
      const Operation finished = Run(settings);
      ASSERT_TRUE(finished.error.ok()) << finished.error;
      EXPECT_TRUE(Read(finished.target) == baseline) << "failed at call " << failing;
      ASSERT_TRUE(jobs_->posteriors().Delete(finished.target).ok());
    }
  }
}

TEST_F(PosteriorJobTest, ARestartAtAnyCallLeavesNoMark) {
  const engine::SamplerSettings settings = SomeSettings();
  const Contents baseline = Baseline(settings);
  for (int64_t stop_at = 1; stop_at <= 9; ++stop_at) {
    absl::Notification reached;
    const int64_t start = engine_.hooks().advance_calls;
    engine_.hooks().on_advance = [&, start, stop_at](int64_t call) {
      if (call != start + stop_at) return absl::OkStatus();
      reached.Notify();
      while (!jobs_->executor().draining()) std::this_thread::yield();
      return absl::OkStatus();
    };
    const absl::StatusOr<Operation> started = jobs_->posteriors().Create(Spec(settings));
    ASSERT_TRUE(started.ok()) << started.status();
    reached.WaitForNotification();
    jobs_->Drain();
    EXPECT_FALSE(jobs_->operations().Get(started->name)->done);
    ClearHooks();
    Restart();
    const Operation finished = WaitFor(started->name);  // the same operation goes on by itself
    ASSERT_TRUE(finished.error.ok()) << finished.error;
    EXPECT_TRUE(Read(finished.target) == baseline) << "stopped at call " << stop_at;
    ASSERT_TRUE(jobs_->posteriors().Delete(finished.target).ok());
  }
}

TEST_F(PosteriorJobTest, ExtendingEqualsALongerRunBitForBit) {
  engine::SamplerSettings settings = SomeSettings();
  settings.draws_per_chain = 11;
  const Contents baseline = Baseline(settings);
  settings.draws_per_chain = 4;
  const Operation shorter = Run(settings);
  ASSERT_TRUE(shorter.error.ok());
  const absl::StatusOr<Operation> extend = jobs_->posteriors().Extend({}, shorter.target, 11);
  ASSERT_TRUE(extend.ok()) << extend.status();
  ASSERT_TRUE(WaitFor(extend->name).error.ok());
  EXPECT_TRUE(Read(shorter.target) == baseline);
  EXPECT_EQ(jobs_->posteriors().Get(shorter.target)->draws_per_chain, 11u);
}

TEST_F(PosteriorJobTest, ExtendingUsesItsTrainingRowsThoughOneWasDeletedSince) {
  engine::SamplerSettings settings = SomeSettings();
  const Contents baseline = Baseline(settings);
  settings.draws_per_chain = 4;
  const Operation shorter = Run(settings);
  ASSERT_TRUE(jobs_->datasets().DeleteSamples(dataset_, {"r2"}).ok());
  Restart();  // so that the rows are read anew
  const Operation longer = WaitFor(jobs_->posteriors().Extend({}, shorter.target, 8)->name);
  ASSERT_TRUE(longer.error.ok()) << longer.error;
  EXPECT_TRUE(Read(shorter.target) == baseline);
}

TEST_F(PosteriorJobTest, CancellingKeepsTheDrawsAndTheNextCreateGoesOn) {
  const engine::SamplerSettings settings = SomeSettings();
  const Contents baseline = Baseline(settings);
  absl::Notification reached, cancelled;
  const int64_t start = engine_.hooks().advance_calls;
  engine_.hooks().on_advance = [&, start](int64_t call) {
    if (call == start + 6) {
      reached.Notify();
      cancelled.WaitForNotification();
    }
    return absl::OkStatus();
  };
  const Operation started = *jobs_->posteriors().Create(Spec(settings));
  reached.WaitForNotification();
  ASSERT_TRUE(jobs_->operations().Cancel(started.name).ok());
  cancelled.Notify();
  const Operation ended = WaitFor(started.name);
  EXPECT_TRUE(absl::IsCancelled(ended.error));
  const Posterior kept = *jobs_->posteriors().Get(started.target);
  EXPECT_EQ(kept.state, PosteriorState::kCancelled);
  EXPECT_EQ(kept.draws_per_chain, 5u);  // the draw in the making was finished, and committed
  ClearHooks();
  const Operation finished = Run(settings);
  ASSERT_TRUE(finished.error.ok());
  EXPECT_NE(finished.name, started.name);
  EXPECT_TRUE(Read(finished.target) == baseline);
}

TEST_F(PosteriorJobTest, ADivergedChainIsQuarantinedAndTheOthersCount) {
  const engine::SamplerSettings settings = SomeSettings();
  const Contents baseline = Baseline(settings);
  engine_.hooks().loss_is_nan = [](uint32_t chain, uint64_t step) {
    return chain == 1 && step == 11;
  };  // before draw 5
  const Operation operation = Run(settings);
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  EXPECT_EQ(operation.progress.chains_diverged, 1u);
  const Posterior posterior = *jobs_->posteriors().Get(operation.target);
  EXPECT_EQ(posterior.state, PosteriorState::kReady);
  EXPECT_NE(posterior.state_reason.find("1 of 2 chains diverged"), std::string::npos)
      << posterior.state_reason;
  EXPECT_FALSE(posterior.chains[0].diverged);
  EXPECT_EQ(posterior.chains[0].draws, 8u);
  EXPECT_TRUE(posterior.chains[1].diverged);
  EXPECT_EQ(posterior.chains[1].draws, 4u);
  EXPECT_NE(posterior.chains[1].reason.find("not finite at step 11"), std::string::npos);
  EXPECT_EQ(Read(operation.target).traces[0],
            baseline.traces[0]);  // untouched by its neighbour's fate
  const absl::StatusOr<PosteriorView> view = jobs_->posteriors().Open(operation.target);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->active_chains, std::vector<uint32_t>{0});
}

TEST_F(PosteriorJobTest, AResumedRunLeavesADivergedChainBehind) {
  engine::SamplerSettings settings = SomeSettings();
  const Contents baseline = Baseline(settings);
  engine_.hooks().loss_is_nan = [](uint32_t chain, uint64_t step) {
    return chain == 0 && step == 3;
  };
  settings.draws_per_chain = 4;
  const Operation first = Run(settings);
  ASSERT_TRUE(first.error.ok());
  ClearHooks();
  const Operation more = WaitFor(jobs_->posteriors().Extend({}, first.target, 8)->name);
  ASSERT_TRUE(more.error.ok()) << more.error;
  const Contents contents = Read(first.target);
  EXPECT_EQ(contents.traces[1], baseline.traces[1]);
  EXPECT_TRUE(contents.traces[0].empty());
}

TEST_F(PosteriorJobTest, StepsThatExplodeAreNoticedBeforeTheyOverflow) {
  engine::SamplerSettings settings = SomeSettings();
  settings.step_size = 1;  // the linear recursion grows by about five a step
  settings.draws_per_chain = 20;
  settings.steps_between_draws = 1;
  const Operation operation = Run(settings);
  EXPECT_EQ(operation.error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(operation.error.message().find("all 2 chains diverged"), std::string::npos)
      << operation.error;
  const Posterior posterior = *jobs_->posteriors().Get(operation.target);
  EXPECT_EQ(posterior.state, PosteriorState::kFailed);
  EXPECT_LT(posterior.chains[0].draws, 20u);
  EXPECT_NE(posterior.chains[0].reason.find("mean training loss"), std::string::npos)
      << posterior.chains[0].reason;
  EXPECT_EQ(jobs_->posteriors().Diagnose(operation.target)->verdict, "DIVERGED");
  EXPECT_FALSE(jobs_->posteriors().Open(operation.target).ok());
}

TEST_F(PosteriorJobTest, AutoIsARunThatWasToldTheNumber) {
  engine::SamplerSettings settings = SomeSettings();
  settings.steps_between_draws = 0;
  const Operation automatic = Run(settings);
  ASSERT_TRUE(automatic.error.ok()) << automatic.error;
  const Posterior chosen = *jobs_->posteriors().Get(automatic.target);
  ASSERT_GE(chosen.steps_between_draws, 1u);
  settings.steps_between_draws = chosen.steps_between_draws;
  const Operation told = Run(settings);
  ASSERT_TRUE(told.error.ok());
  EXPECT_NE(told.target, automatic.target);
  EXPECT_TRUE(Read(automatic.target) == Read(told.target));
}

TEST_F(PosteriorJobTest, AFullDiskStopsTheRunAndKeepsWhatIsThere) {
  const engine::SamplerSettings settings = SomeSettings();
  const Contents baseline = Baseline(settings);
  const int64_t start = engine_.hooks().advance_calls;
  engine_.hooks().on_advance = [this, start](int64_t call) {
    while (call == start + 5 && !jobs_->executor().draining()) std::this_thread::yield();
    return absl::OkStatus();
  };
  const Operation started = *jobs_->posteriors().Create(Spec(settings));
  while (engine_.hooks().advance_calls < start + 5) std::this_thread::yield();
  jobs_->Drain();
  ClearHooks();
  Stop();
  min_free_disk_bytes_ = int64_t{1} << 60;
  Start();
  EXPECT_TRUE(absl::IsResourceExhausted(WaitFor(started.name).error));
  EXPECT_EQ(jobs_->posteriors().Get(started.target)->draws_per_chain, 4u);
  EXPECT_TRUE(jobs_->posteriors().Open(started.target).ok());  // reads go on
  EXPECT_TRUE(absl::IsResourceExhausted(jobs_->posteriors().Create(Spec(settings)).status()));
  Stop();
  min_free_disk_bytes_ = 0;
  Start();
  EXPECT_TRUE(Run(settings).error.ok());
  EXPECT_TRUE(Read(started.target) == baseline);
}

TEST_F(PosteriorJobTest, ProgressCountsDrawsOfAllChains) {
  std::vector<uint32_t> seen;
  engine_.hooks().on_advance = [&](int64_t) {
    const auto page = jobs_->operations().List({});
    seen.push_back(page->items.at(0).progress.draws_done);
    return absl::OkStatus();
  };
  const Operation operation = Run(SomeSettings());
  EXPECT_EQ(seen, (std::vector<uint32_t>{0, 0, 2, 4, 6, 8, 10, 12, 14}));
  EXPECT_EQ(operation.progress.draws_done, 16u);
  EXPECT_EQ(operation.progress.draws_total, 16u);
  EXPECT_EQ(operation.progress.stage, "done");
}

}  // namespace
}  // namespace bif::jobs
