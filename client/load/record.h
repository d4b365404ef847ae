// What is kept of every call.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/load/mix.h"

namespace bif::client::load {

// Where the server says that its time went (bif.v1.ServerTimes).
struct ServerTimes {
  absl::Duration queue, evaluation, scoring;
};

// Times are counted from the start of the run.
struct CallRecord {
  Method method = Method::kHealth;
  absl::Duration intended;                      // when it was due; in a closed loop: when sent
  absl::Duration sent;                          // when it was handed to gRPC
  std::optional<absl::Duration> first_message;  // nothing if none came
  absl::Duration last;                          // when the call's status was there
  absl::StatusCode code = absl::StatusCode::kOk;
  std::optional<ServerTimes> server_times;

  absl::Duration latency() const { return last - intended; }
};

}  // namespace bif::client::load
