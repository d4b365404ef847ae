// An engine that runs out of memory, fails, throws, returns NaN or hangs: the operation at fault
// ends with the reason, the device goes on with the others, and nothing that was committed is lost
// to it. Single faults of status and NaN are in src/jobs/posterior_job_test.cc.
#include <new>
#include <stdexcept>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

using Fault = std::function<absl::Status()>;

struct NamedFault {
  const char* name;
  Fault fault;
  absl::StatusCode code;
  const char* reason;
};

const NamedFault kFaults[] = {
    {"no memory, as a status", [] { return absl::ResourceExhaustedError("out of memory: batch"); },
     absl::StatusCode::kResourceExhausted, "out of memory"},
    {"no memory, thrown", []() -> absl::Status { throw std::bad_alloc(); },
     absl::StatusCode::kResourceExhausted, "out of memory"},
    {"an error, as a status", [] { return absl::InternalError("aten::mm: shapes"); },
     absl::StatusCode::kInternal, "aten::mm"},
    {"an exception", []() -> absl::Status { throw std::runtime_error("device side assert"); },
     absl::StatusCode::kInternal, "device side assert"},
    {"something thrown that is no exception", []() -> absl::Status { throw 7; },
     absl::StatusCode::kInternal, "unknown type"},
};

class EngineFaults : public JobsFixture {
 protected:
  EngineFaults() {
    checkpoint_ = MakeCheckpoint();
    dataset_ = MakeDataset("train", 10);
    MakeDataset("more", 6, 5);
  }
  ~EngineFaults() override { ClearHooks(); }

  PosteriorSpec Spec(uint64_t seed) {
    engine::SamplerSettings settings = SomeSettings();
    settings.seed = seed;
    return {{}, "", checkpoint_, dataset_, settings};
  }
  Operation Start(uint64_t seed) {
    const absl::StatusOr<Operation> started = jobs_->posteriors().Create(Spec(seed));
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? *started : Operation{};
  }
  Operation Run(uint64_t seed) { return WaitFor(Start(seed).name); }
  Contents Baseline(uint64_t seed) {
    const Operation operation = Run(seed);
    const Contents contents = Read(operation.target);
    EXPECT_TRUE(jobs_->posteriors().Delete(operation.target).ok());
    return contents;
  }
  // From the n-th call from now on (from 1), that one alone.
  template <typename HookType>
  static void FailOnce(HookType& hook, int64_t calls_so_far, int64_t nth, const Fault& fault) {
    hook = [=](int64_t call) { return call == calls_so_far + nth ? fault() : absl::OkStatus(); };
  }
  void ClearHooks() {
    engine_.hooks().on_load = nullptr;
    engine_.hooks().on_observe = nullptr;
    engine_.hooks().on_advance = nullptr;
    engine_.hooks().loss_is_nan = nullptr;
  }
  absl::StatusOr<AttributeUpdate> Ask(const std::string& posterior) {
    AttributeRequest request;
    request.posterior = posterior;
    request.queries.dataset = "datasets/more";
    AttributeUpdate last;
    const absl::Status status = jobs_->queries().Attribute(request, {}, [&](const auto& update) {
      last = update;
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return last;
  }

  std::string checkpoint_;
  std::string dataset_;
};

TEST_F(EngineFaults, OfAnyKindAtAnyStepEndTheirOperationAndNoOther) {
  const Contents faulty = Baseline(1);
  const Contents next = Baseline(2);
  EXPECT_FALSE(faulty == next) << "the comparison sees what a different seed makes";
  for (const NamedFault& fault : kFaults) {
    for (int64_t nth : {1, 6}) {  // burn-in, and amid a segment
      SCOPED_TRACE(::testing::Message() << fault.name << " at step call " << nth);
      // Both are queued before the first fails: the second finds the device as it was left.
      FailOnce(engine_.hooks().on_advance, engine_.hooks().advance_calls, nth, fault.fault);
      const Operation first = Start(1);
      const Operation second = Start(2);
      const Operation failed = WaitFor(first.name);
      EXPECT_EQ(failed.error.code(), fault.code) << failed.error;
      EXPECT_NE(failed.error.message().find(fault.reason), std::string::npos) << failed.error;
      const Posterior kept = *jobs_->posteriors().Get(failed.target);
      EXPECT_EQ(kept.state, PosteriorState::kFailed);
      EXPECT_NE(kept.state_reason.find(fault.reason), std::string::npos) << kept.state_reason;
      const Operation other = WaitFor(second.name);
      EXPECT_TRUE(other.error.ok()) << other.error;
      EXPECT_TRUE(Read(other.target) == next);

      ClearHooks();
      const Operation again = Run(1);
      ASSERT_TRUE(again.error.ok()) << again.error;
      EXPECT_TRUE(Read(again.target) == faulty) << "it goes on from what was committed";
      ASSERT_TRUE(jobs_->posteriors().Delete(again.target).ok());
      ASSERT_TRUE(jobs_->posteriors().Delete(other.target).ok());
    }
  }
}

TEST_F(EngineFaults, AtAnyEvaluationOfAQueryEndItAndTheNextIsAnswered) {
  const std::string posterior = Run(1).target;
  for (const NamedFault& fault : kFaults) {
    for (int64_t nth : {1, 2, 3}) {
      SCOPED_TRACE(::testing::Message() << fault.name << " at evaluation " << nth);
      FailOnce(engine_.hooks().on_observe, engine_.hooks().observe_calls, nth, fault.fault);
      const auto failed = Ask(posterior);
      EXPECT_EQ(failed.status().code(), fault.code) << failed.status();
      ClearHooks();
      EXPECT_EQ(jobs_->counters().query_rows_traced, 0u) << "nothing half evaluated is kept";
    }
  }
  const auto answer = Ask(posterior);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->rows_evaluated, 6u);
}

TEST_F(EngineFaults, AtAnyEvaluationOfATraceEndItAndTheNextGoesOn) {
  const std::string posterior = Run(1).target;
  for (const NamedFault& fault : kFaults) {
    SCOPED_TRACE(fault.name);
    FailOnce(engine_.hooks().on_observe, engine_.hooks().observe_calls, 2, fault.fault);
    const auto started = jobs_->queries().TraceSamples({{}, posterior, "datasets/more", {}});
    ASSERT_TRUE(started.ok()) << started.status();
    EXPECT_EQ(WaitFor(started->name).error.code(), fault.code);
    ClearHooks();
  }
  const auto started = jobs_->queries().TraceSamples({{}, posterior, "datasets/more", {}});
  ASSERT_TRUE(started.ok()) << started.status();
  const Operation traced = WaitFor(started->name);
  EXPECT_TRUE(traced.error.ok()) << traced.error;
  EXPECT_EQ(traced.result.rows_traced, 6);
}

TEST_F(EngineFaults, WhileAModelIsLoadedEndTheRun) {
  for (const NamedFault& fault : kFaults) {
    SCOPED_TRACE(fault.name);
    Restart();  // so that no model is in memory
    FailOnce(engine_.hooks().on_load, engine_.hooks().models_loaded, 1, fault.fault);
    EXPECT_EQ(Run(1).error.code(), fault.code);
    ClearHooks();
  }
  EXPECT_TRUE(Run(1).error.ok());
}

TEST_F(EngineFaults, NanInEveryChainEndsTheRunWithTheReasonAndTheNextRuns) {
  engine_.hooks().loss_is_nan = [](uint32_t, uint64_t step) { return step == 5; };
  const Operation first = Start(1);
  const Operation failed = WaitFor(first.name);
  EXPECT_EQ(failed.error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(failed.error.message().find("not finite at step 5"), std::string::npos) << failed.error;
  ClearHooks();
  EXPECT_TRUE(Run(2).error.ok());
}

// The hang ends here; one that does not needs a restart, after which all goes on.
TEST_F(EngineFaults, WhileTheDeviceHangsWhatNeedsItWaitsAndStoredAnswersAreGiven) {
  const Contents baseline = Baseline(1);
  const std::string posterior = Run(2).target;
  ASSERT_TRUE(Ask(posterior).ok());
  absl::Notification arrived, release;
  const int64_t before = engine_.hooks().advance_calls;
  engine_.hooks().on_advance = [&, before](int64_t call) {
    if (call == before + 4) {
      arrived.Notify();
      release.WaitForNotification();
    }
    return absl::OkStatus();
  };
  const Operation hangs = Start(1);
  const Operation waits = Start(3);
  arrived.WaitForNotification();
  EXPECT_FALSE(jobs_->executor().stuck());
  clock_.Advance(absl::Minutes(11));
  EXPECT_TRUE(jobs_->executor().stuck());
  const auto stored = Ask(posterior);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->rows_evaluated, 0u);
  EXPECT_FALSE(jobs_->operations().Get(waits.name)->done);

  release.Notify();
  const Operation ended = WaitFor(hangs.name);
  EXPECT_TRUE(ended.error.ok()) << ended.error;
  EXPECT_TRUE(Read(ended.target) == baseline);
  EXPECT_TRUE(WaitFor(waits.name).error.ok());
  EXPECT_FALSE(jobs_->executor().stuck());
}

}  // namespace
}  // namespace bif::jobs
