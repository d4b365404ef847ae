#include "client/load/summary.h"

#include <algorithm>
#include <utility>

namespace bif::client::load {
namespace {

MethodSummary SummariseMethod(const std::vector<CallRecord>& calls, Method method, double seconds) {
  MethodSummary summary{.method = method};
  std::vector<absl::Duration> latencies, firsts, queues, evaluations, scorings;
  for (const CallRecord& call : calls) {
    if (call.method != method) continue;
    ++summary.count;
    if (call.code != absl::StatusCode::kOk) {
      ++summary.errors[absl::StatusCodeToString(call.code)];
      continue;
    }
    latencies.push_back(call.latency());
    if (call.first_message) firsts.push_back(*call.first_message - call.intended);
    if (!call.server_times) continue;
    queues.push_back(call.server_times->queue);
    evaluations.push_back(call.server_times->evaluation);
    scorings.push_back(call.server_times->scoring);
  }
  if (seconds > 0) summary.rate = static_cast<double>(latencies.size()) / seconds;
  if (!queues.empty()) {
    summary.server = {.queue = SpreadOf(std::move(queues)),
                      .evaluation = SpreadOf(std::move(evaluations)),
                      .scoring = SpreadOf(std::move(scorings))};
  }
  summary.latency = SpreadOf(std::move(latencies));
  summary.first_message = SpreadOf(std::move(firsts));
  return summary;
}

}  // namespace

std::vector<MethodSummary> Summarise(const std::vector<CallRecord>& calls, absl::Duration start) {
  absl::Duration end = start;
  for (const CallRecord& call : calls) end = std::max(end, call.last);
  std::vector<MethodSummary> summaries;
  for (const Method method : kMethods) {
    MethodSummary summary = SummariseMethod(calls, method, absl::ToDoubleSeconds(end - start));
    if (summary.count > 0) summaries.push_back(std::move(summary));
  }
  return summaries;
}

}  // namespace bif::client::load
