// The calls of a run in a few numbers, method by method.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/load/percentile.h"
#include "client/load/record.h"

namespace bif::client::load {

struct MethodSummary {
  Method method = Method::kHealth;
  int64_t count = 0;                      // of all calls, failed ones too
  std::map<std::string, int64_t> errors;  // by code, e.g. "RESOURCE_EXHAUSTED"
  double rate = 0;                        // answers with OK a second
  // Of the calls that ended with OK: a refusal is fast and must not make the others look so.
  Spread latency;        // from when the call was due to its end
  Spread first_message;  // from when the call was due
  struct Server {
    Spread queue, evaluation, scoring;
  };
  std::optional<Server> server;  // of the answers that carry server times, if any does
};

// In the order of kMethods; methods without a call are left out. `start` is the end of the warm-up.
// The rate counts until the last call ended.
std::vector<MethodSummary> Summarise(const std::vector<CallRecord>& calls, absl::Duration start);

}  // namespace bif::client::load
