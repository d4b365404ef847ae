// Who rides with whom, what is read for them, and that nobody's numbers depend on it.
#include "src/jobs/shared_scans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

class SharedScansTest : public QueriesFixture {
 protected:
  static constexpr size_t kPlaces = kChains * kDraws;

  void SetUp() override {
    options_.executor.on_use = [this](const DeviceUse& use) {
      absl::MutexLock lock(&mutex_);
      used_[use.tenant] += use.used;
    };
    Restart();
    SampleIt();
    auto view = jobs_->posteriors().Open(posterior_);
    ASSERT_TRUE(view.ok()) << view.status();
    view_ = *std::move(view);
    draws_ = std::make_unique<DrawReader>(*store_, nullptr, jobs_->counters(), int64_t{1} << 20);
    scans_ = std::make_unique<SharedScans>(jobs_->executor(), jobs_->models(), *draws_,
                                           jobs_->counters());
    loaded_before_ = loaded();
  }
  void TearDown() override { jobs_->Drain(); }

  struct Ride {
    std::shared_ptr<EvaluatedRows> values;
    CancelToken cancel;
    EvaluatedRows::State Wait() const { return values->Wait(kDraws + 1, kLong); }
    std::vector<float> numbers() const {
      return {values->values().begin(), values->values().end()};
    }
  };
  // `rows` rows of their own, known up to `first_draw`.
  Ride Start(int64_t rows, uint32_t seed, uint32_t first_draw = 0,
             const engine::Observable& observable = {}, const std::string& tenant = "red") {
    return StartWith(SomeRows(rows, seed), first_draw, observable, tenant);
  }
  Ride StartWith(SampleBatch samples, uint32_t first_draw = 0,
                 const engine::Observable& observable = {}, const std::string& tenant = "red") {
    Ride ride;
    ride.values = std::make_shared<EvaluatedRows>(samples.rows, kChains, kDraws);
    EvaluationSpec spec;
    spec.view = view_;
    spec.observable = observable;
    spec.field_of_row = [](size_t row) { return absl::StrCat("queries[", row, "]"); };
    EvaluationGroup& group = spec.groups.emplace_back();
    for (int64_t r = 0; r < samples.rows; ++r) group.rows.push_back(static_cast<size_t>(r));
    group.samples = std::move(samples);
    group.first_draw = first_draw;
    const absl::Status status = scans_->Ride({std::move(spec), ride.values, ride.cancel, tenant});
    EXPECT_TRUE(status.ok()) << status;
    return ride;
  }
  std::vector<float> Alone(int64_t rows, uint32_t seed, const engine::Observable& observable = {}) {
    const Ride ride = Start(rows, seed, 0, observable);
    EXPECT_TRUE(ride.Wait().status.ok());
    WaitUntilIdle();
    return ride.numbers();
  }
  void WaitUntilIdle() {
    while (jobs_->executor().tasks() > 0) std::this_thread::yield();
  }

  // Stops the device before the n-th Observe from now on, until Release. Each takes so long.
  void HoldAt(int64_t nth, absl::Duration each = absl::ZeroDuration()) {
    const int64_t call = engine_.hooks().observe_calls + nth;
    engine_.hooks().on_observe = [this, call, each](int64_t n) {
      clock_.Advance(each);
      if (n == call) {
        held_.Notify();
        release_.WaitForNotification();
      }
      return absl::OkStatus();
    };
  }
  void AwaitHeld() { held_.WaitForNotification(); }
  void Release() { release_.Notify(); }

  uint64_t loaded() { return jobs_->counters().scan_draws_loaded; }
  uint64_t loaded_now() { return loaded() - loaded_before_; }

  PosteriorView view_;
  std::unique_ptr<DrawReader> draws_;
  std::unique_ptr<SharedScans> scans_;
  uint64_t loaded_before_ = 0;
  absl::Notification held_, release_;
  absl::Mutex mutex_;
  std::map<std::string, absl::Duration> used_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(SharedScansTest, WhoWaitsTogetherLoadsEachDrawOnce) {
  std::vector<std::vector<float>> alone;
  for (uint32_t seed = 1; seed <= 6; ++seed) alone.push_back(Alone(2, seed));
  EXPECT_EQ(loaded_now(), 6 * kPlaces);
  loaded_before_ = loaded();
  HoldAt(1);
  std::vector<Ride> rides;
  rides.push_back(Start(2, 1));
  AwaitHeld();  // at its evaluation at w*: the others come meanwhile
  for (uint32_t seed = 2; seed <= 6; ++seed) rides.push_back(Start(2, seed));
  Release();
  for (size_t i = 0; i < rides.size(); ++i) {
    ASSERT_TRUE(rides[i].Wait().status.ok());
    EXPECT_EQ(rides[i].numbers(), alone[i]);
  }
  EXPECT_EQ(loaded_now(), kPlaces);
}

TEST_F(SharedScansTest, WhoComesLateJoinsAtTheNextDrawAndGetsTheRestInTheNextRound) {
  const std::vector<float> first_alone = Alone(3, 1);
  const std::vector<float> late_alone = Alone(1, 2);
  loaded_before_ = loaded();
  HoldAt(3);  // w*, a slice, and in the second slice
  const Ride first = Start(3, 1);
  AwaitHeld();
  const uint64_t joined_at = loaded_now();
  ASSERT_GT(joined_at, 0u);
  ASSERT_LT(joined_at, kPlaces);
  const Ride late = Start(1, 2);
  Release();
  ASSERT_TRUE(first.Wait().status.ok());
  ASSERT_TRUE(late.Wait().status.ok());
  EXPECT_EQ(first.numbers(), first_alone);
  EXPECT_EQ(late.numbers(), late_alone);
  // Not two rounds: one, and the part that the late one had missed.
  EXPECT_EQ(loaded_now(), kPlaces + joined_at);
}

TEST_F(SharedScansTest, TheReportedWindowHoldsExactlyWhatIsKnown) {
  HoldAt(3);
  const Ride first = Start(1, 1);
  AwaitHeld();
  const Ride late = Start(1, 2);
  Release();
  uint32_t reports = 0;
  for (uint32_t wanted = 1; wanted <= kDraws; ++wanted) {
    const EvaluatedRows::State state = late.values->Wait(wanted, kLong);
    ASSERT_TRUE(state.status.ok());
    if (!state.finished) {
      EXPECT_GT(state.done.first, 0u);
    }
    for (size_t c = 0; c < kChains; ++c) {
      for (uint32_t t = 0; t < kDraws; ++t) {
        if (!state.done.Contains(t, kDraws)) continue;
        EXPECT_FALSE(std::isnan(late.values->values()[c * kDraws + t]));
      }
    }
    ++reports;
  }
  EXPECT_EQ(reports, kDraws);
}

TEST_F(SharedScansTest, WhoKnowsTheFirstDrawsIsGivenTheOthersAlone) {
  const std::vector<float> alone = Alone(1, 3);
  HoldAt(3);
  const Ride first = Start(1, 1);
  AwaitHeld();
  const Ride behind = Start(1, 3, kDraws - 2);  // where the scan has not come yet
  const Ride passed = Start(1, 3, 1);           // where it has been already
  Release();
  ASSERT_TRUE(behind.Wait().status.ok());
  ASSERT_TRUE(passed.Wait().status.ok());
  for (size_t c = 0; c < kChains; ++c) {
    for (uint32_t t = 0; t < kDraws; ++t) {
      const size_t column = c * kDraws + t;
      for (const auto& [ride, first_draw] : {std::pair{behind, kDraws - 2}, {passed, 1u}}) {
        if (t < first_draw) {
          EXPECT_TRUE(std::isnan(ride.numbers()[column]));
        } else {
          EXPECT_EQ(ride.numbers()[column], alone[column]);
        }
      }
    }
  }
}

TEST_F(SharedScansTest, DifferentObservablesRideTheSameScan) {
  const engine::Observable logit{engine::ObservableKind::kLogit};
  const std::vector<float> losses = Alone(2, 1);
  const std::vector<float> logits = Alone(2, 1, logit);
  loaded_before_ = loaded();
  HoldAt(1);
  const Ride a = Start(2, 1);
  AwaitHeld();
  const Ride b = Start(2, 1, 0, logit);
  Release();
  ASSERT_TRUE(a.Wait().status.ok());
  ASSERT_TRUE(b.Wait().status.ok());
  EXPECT_EQ(a.numbers(), losses);
  EXPECT_EQ(b.numbers(), logits);
  EXPECT_EQ(loaded_now(), kPlaces);
}

TEST_F(SharedScansTest, AWrongSampleEndsItsOwnRideAlone) {
  const std::vector<float> alone = Alone(2, 1);
  HoldAt(1);
  const Ride first = Start(1, 9);
  AwaitHeld();
  const Ride good = Start(2, 1);
  SampleBatch wrong = SomeRows(2, 5);
  wrong.columns[0].spec.shape = {2};  // half of the features
  wrong.columns[0].data.resize(wrong.columns[0].data.size() / 2);
  const Ride bad = StartWith(wrong);
  Release();
  const absl::Status status = bad.Wait().status;
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("queries[0]"));
  ASSERT_TRUE(good.Wait().status.ok());
  ASSERT_TRUE(first.Wait().status.ok());
  EXPECT_EQ(good.numbers(), alone);
}

TEST_F(SharedScansTest, WhoCancelsLeavesAndTheOthersGoOn) {
  const std::vector<float> alone = Alone(1, 1);
  HoldAt(3);
  const Ride stays = Start(1, 1);
  const Ride leaves = Start(1, 2);
  AwaitHeld();
  CancelToken(leaves.cancel).Cancel();
  Release();
  EXPECT_TRUE(absl::IsCancelled(leaves.Wait().status));
  ASSERT_TRUE(stays.Wait().status.ok());
  EXPECT_EQ(stays.numbers(), alone);
}

TEST_F(SharedScansTest, AnEngineThatFailsEndsAllRidersAndTheNextOneIsServed) {
  const int64_t fails = engine_.hooks().observe_calls + 3;
  engine_.hooks().on_observe = [fails](int64_t n) {
    return n == fails ? absl::ResourceExhaustedError("out of device memory") : absl::OkStatus();
  };
  const Ride a = Start(1, 1);
  const absl::Status status = a.Wait().status;
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(Start(1, 1).Wait().status.ok());
}

TEST_F(SharedScansTest, WhoWaitsWhileARideFailsIsServedWithTheirOwnNumbers) {
  const std::vector<float> alone = Alone(2, 5);
  // The first rider fails at w*, before any draw; the second waits meanwhile.
  const int64_t fails = engine_.hooks().observe_calls + 1;
  engine_.hooks().on_observe = [this, fails](int64_t n) -> absl::Status {
    if (n != fails) return absl::OkStatus();
    held_.Notify();
    release_.WaitForNotification();
    return absl::ResourceExhaustedError("out of device memory");
  };
  const Ride failed = Start(2, 1);
  AwaitHeld();
  const Ride next = Start(2, 5);
  Release();
  EXPECT_TRUE(absl::IsResourceExhausted(failed.Wait().status));
  ASSERT_TRUE(next.Wait().status.ok());
  EXPECT_EQ(next.numbers(), alone);
}

TEST_F(SharedScansTest, TenantsPayForTheirRows) {
  {
    absl::MutexLock lock(&mutex_);
    used_.clear();
  }
  HoldAt(1, absl::Milliseconds(10));
  const Ride few = Start(1, 1, 0, {}, "few");
  AwaitHeld();
  const Ride many = Start(9, 2, 0, {}, "many");
  Release();
  ASSERT_TRUE(few.Wait().status.ok());
  ASSERT_TRUE(many.Wait().status.ok());
  WaitUntilIdle();
  absl::MutexLock lock(&mutex_);
  // Each pays alone for its rows at w*, and both for the draws: one part in ten, and nine.
  const absl::Duration at_anchor = absl::Milliseconds(10);
  EXPECT_GT(used_["few"], at_anchor);
  EXPECT_EQ(used_["many"] - at_anchor, 9 * (used_["few"] - at_anchor));
}

TEST_F(SharedScansTest, DrainingEndsRidersWithUnavailable) {
  HoldAt(2);
  const Ride riding = Start(1, 1);
  AwaitHeld();
  const Ride waiting = Start(1, 2);
  std::thread drain([this] { jobs_->Drain(); });
  while (!jobs_->executor().draining()) std::this_thread::yield();
  Release();
  drain.join();
  EXPECT_TRUE(absl::IsUnavailable(riding.Wait().status));
  EXPECT_TRUE(absl::IsUnavailable(waiting.Wait().status));
}

}  // namespace
}  // namespace bif::jobs
