#include "src/base/clock.h"

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace bif {
namespace {
class SystemClock : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
};
}  // namespace

Clock& Clock::System() {
  static SystemClock* const clock = new SystemClock;
  return *clock;
}

struct FakeClock::State {
  absl::Mutex mutex;
  absl::Time now ABSL_GUARDED_BY(mutex) = absl::UnixEpoch() + absl::Hours(24);
};

FakeClock::FakeClock() : state_(new State) {}
FakeClock::~FakeClock() { delete state_; }

absl::Time FakeClock::Now() {
  absl::MutexLock lock(&state_->mutex);
  return state_->now;
}

void FakeClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&state_->mutex);
  state_->now += duration;
}

}  // namespace bif
