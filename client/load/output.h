// How a run's outcome looks: a table for people, JSON and CSV for programs.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "client/load/record.h"
#include "client/load/summary.h"

namespace bif::client::load {

void PrintTable(std::ostream& out, const std::vector<MethodSummary>& summaries);

// {"stored-top-k": {"count", "errors": {CODE: n}, "rate", "latency_ms": {"p50", "p90", "p99",
// "p99.9", "max"}, "first_message_ms": the same, "server_ms": {"queue", "evaluation", "scoring":
// the same}}, ...}; server_ms only where answers carried it.
void PrintJson(std::ostream& out, const std::vector<MethodSummary>& summaries);

// A heading, then a line a call: intended,sent,first_message,last,status,method. Times in seconds
// from the start of the run, to the microsecond; first_message is empty where none came.
void PrintCsv(std::ostream& out, const std::vector<CallRecord>& calls);

}  // namespace bif::client::load
