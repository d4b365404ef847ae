// What every service adapter needs to answer a call. A plain bundle of references; all outlive the
// services.
//
// gRPC's callback threads (there may be as few as two) never block: a handler that may wait runs on
// `calls`, and a stream whose producer may be paused by its reader on `streams`, so that slow
// readers cannot keep short calls waiting.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/call_registry.h"
#include "src/jobs/jobs.h"
#include "src/jobs/worker_pool.h"
#include "src/observe/metrics.h"

namespace bif::server {

struct CallRuntime {
  jobs::Jobs& jobs;
  CallRegistry& registry;
  jobs::WorkerPool& calls;
  jobs::WorkerPool& streams;
  observe::Metrics& metrics;
};

// Until tenants are told apart, every call is this one's.
inline constexpr char kDefaultTenant[] = "default";

// Runs a handler's work with the log fields of its call; what a library throws becomes a status, so
// that no request ends the daemon.
absl::Status RunGuarded(const std::string& method, absl::FunctionRef<absl::Status()> work);

}  // namespace bif::server
