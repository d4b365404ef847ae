// A question's replays as seen from the thread that asked: rounds of slopes, each a task of the
// device thread, interactive and in slices.
//
// Thread-compatible. The destructor hands what is on the device back to the device thread and does
// not wait.
#pragma once

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/tangent_session.h"

namespace bif::jobs {

class TangentRun {
 public:
  TangentRun(DeviceExecutor& executor, const DeviceClaim& claim, const TangentSession::Parts& parts,
             TangentQuestion question);
  ~TangentRun();
  TangentRun(const TangentRun&) = delete;
  TangentRun& operator=(const TangentRun&) = delete;

  // Blocks until the round is complete, or cut short as RoundWish says. `progress` is called now
  // and then on this thread with the draws of the round so far; its error ends the round, and so
  // does cancelling: then the run is over and nothing may be read. RESOURCE_EXHAUSTED if the
  // device's queue is full, UNAVAILABLE while it drains.
  absl::Status Take(const RoundWish& wish, const CancelToken& cancel,
                    absl::FunctionRef<absl::Status(int64_t draws)> progress);

  // Between rounds.
  const TangentSession& session() const { return *session_; }
  absl::Duration waited() const { return waited_; }  // for the device, before the first round

 private:
  DeviceExecutor& executor_;
  const DeviceClaim claim_;
  std::shared_ptr<TangentSession> session_;
  absl::Duration waited_;
  bool begun_ = false;
};

}  // namespace bif::jobs
