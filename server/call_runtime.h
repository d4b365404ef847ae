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
#include "absl/time/time.h"
#include "server/call_registry.h"
#include "server/caller.h"
#include "server/gatekeeper.h"
#include "src/jobs/jobs.h"
#include "src/jobs/worker_pool.h"
#include "src/observe/metrics.h"

namespace bif::server {

struct CallRuntime {
  jobs::Jobs& jobs;
  CallRegistry& registry;
  Gatekeeper& gate;
  jobs::WorkerPool& calls;
  jobs::WorkerPool& streams;
  observe::Metrics& metrics;
  absl::Duration stall_limit;  // how long a stream's reader may take nothing
};

// Lets a call in, or says why not: the server drains, the caller is unknown, may not do this or
// comes too often, or names what is not theirs. Names in `request` (nullptr: it comes later, in
// pieces) are then the jobs' own. `caller` is filled as soon as they are known, so that an error
// can be told in their words. Never blocks.
absl::Status LetIn(CallRuntime& runtime, const grpc::CallbackServerContext& context,
                   const std::string& method, google::protobuf::Message* request, Caller& caller);

// Runs a handler's work with the log fields of its call; what a library throws becomes a status, so
// that no request ends the daemon.
absl::Status RunGuarded(const std::string& method, const Caller& caller,
                        absl::FunctionRef<absl::Status()> work);

}  // namespace bif::server
