#include "src/jobs/tangent_run.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "src/base/catch_exceptions.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(100);

// What a round's task tells who waits for it. Thread-safe.
class Report {
 public:
  struct State {
    int64_t draws = 0;
    bool finished = false;
    absl::Status status;
    absl::Time begun = absl::InfiniteFuture();
  };
  void Tell(int64_t draws) {
    absl::MutexLock lock(&mutex_);
    state_.draws = draws;
    if (state_.begun == absl::InfiniteFuture()) state_.begun = absl::Now();
  }
  void Finish(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    state_.finished = true;
    state_.status = status;
  }
  State Wait(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&state_.finished), timeout);
    return state_;
  }

 private:
  absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
};

class RoundTask : public DeviceTask {
 public:
  RoundTask(std::shared_ptr<TangentSession> session, RoundWish wish, std::shared_ptr<Report> report,
            CancelToken stop)
      : session_(std::move(session)),
        wish_(std::move(wish)),
        report_(std::move(report)),
        stop_(std::move(stop)) {}

  Outcome Step() override {
    if (stop_.cancelled()) {
      report_->Finish(absl::CancelledError("the query was cancelled"));
      return Outcome::kDone;
    }
    report_->Tell(static_cast<int64_t>(wish_.round->stretches.size()));
    const absl::StatusOr<bool> done = CatchExceptions([this] { return session_->Step(wish_); });
    if (done.ok() && !*done) return Outcome::kMore;
    report_->Finish(done.status());
    return Outcome::kDone;
  }
  bool cancelled() const override { return stop_.cancelled(); }
  void Abandon(const absl::Status& why) override { report_->Finish(why); }

 private:
  const std::shared_ptr<TangentSession> session_;
  const RoundWish wish_;
  const std::shared_ptr<Report> report_;
  const CancelToken stop_;
};

// Only holds the session, so that it is destroyed on the device thread.
class CloseTask : public DeviceTask {
 public:
  explicit CloseTask(std::shared_ptr<TangentSession> session) : session_(std::move(session)) {}
  Outcome Step() override { return Outcome::kDone; }
  bool cancelled() const override { return true; }  // before all others: it frees memory
  void Abandon(const absl::Status&) override {}

 private:
  const std::shared_ptr<TangentSession> session_;
};

}  // namespace

TangentRun::TangentRun(DeviceExecutor& executor, const DeviceClaim& claim,
                       const TangentSession::Parts& parts, TangentQuestion question)
    : executor_(executor),
      claim_(claim),
      session_(std::make_shared<TangentSession>(parts, std::move(question))) {}

TangentRun::~TangentRun() {
  // Where the device takes no more tasks, the session is destroyed here: its executor is draining
  // or crowded, and freeing tensors is safe on any thread.
  (void)executor_.Submit(claim_, std::make_unique<CloseTask>(std::move(session_)));
}

absl::Status TangentRun::Take(const RoundWish& wish, const CancelToken& cancel,
                              absl::FunctionRef<absl::Status(int64_t draws)> progress) {
  const absl::Time asked = absl::Now();
  const auto report = std::make_shared<Report>();
  CancelToken stop;  // ends the task whichever way this function is left
  const absl::Cleanup end = [&] { stop.Cancel(); };
  BIF_RETURN_IF_ERROR(
      executor_.Submit(claim_, std::make_unique<RoundTask>(session_, wish, report, stop)));
  while (true) {
    const Report::State state = report->Wait(kPoll);
    if (!begun_ && state.begun != absl::InfiniteFuture()) {
      begun_ = true;
      waited_ = state.begun - asked;
    }
    if (cancel.cancelled()) return absl::CancelledError("the query was cancelled");
    if (state.finished) return state.status;
    BIF_RETURN_IF_ERROR(progress(state.draws));
  }
}

}  // namespace bif::jobs
