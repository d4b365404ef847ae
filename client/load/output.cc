#include "client/load/output.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/output.h"
#include "nlohmann/json.hpp"

namespace bif::client::load {
namespace {

using Json = nlohmann::ordered_json;

std::string Millis(absl::Duration duration) {
  return absl::StrFormat("%.2f", absl::ToDoubleMilliseconds(duration));
}

Json SpreadJson(const Spread& spread) {
  return {{"p50", absl::ToDoubleMilliseconds(spread.p50)},
          {"p90", absl::ToDoubleMilliseconds(spread.p90)},
          {"p99", absl::ToDoubleMilliseconds(spread.p99)},
          {"p99.9", absl::ToDoubleMilliseconds(spread.p999)},
          {"max", absl::ToDoubleMilliseconds(spread.max)}};
}

void AddSpread(Table& table, const std::string& name, const std::string& count,
               const std::string& rate, const Spread& spread, const std::string& errors) {
  table.Add({name, count, rate, Millis(spread.p50), Millis(spread.p90), Millis(spread.p99),
             Millis(spread.p999), Millis(spread.max), errors});
}

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.6f", absl::ToDoubleSeconds(duration));
}

}  // namespace

void PrintTable(std::ostream& out, const std::vector<MethodSummary>& summaries) {
  Table table({"CALL (times in ms)", ">CALLS", ">PER SECOND", ">P50", ">P90", ">P99", ">P99.9",
               ">MAX", "ERRORS"});
  for (const MethodSummary& summary : summaries) {
    const std::string errors = absl::StrJoin(
        summary.errors, " ", [](std::string* text, const std::pair<std::string, int64_t>& error) {
          absl::StrAppend(text, error.first, "=", error.second);
        });
    AddSpread(table, std::string(MethodName(summary.method)), Count(summary.count),
              absl::StrFormat("%.1f", summary.rate), summary.latency, errors);
    AddSpread(table, "  first message", "", "", summary.first_message, "");
    if (!summary.server) continue;
    AddSpread(table, "  server: queue", "", "", summary.server->queue, "");
    AddSpread(table, "  server: evaluation", "", "", summary.server->evaluation, "");
    AddSpread(table, "  server: scoring", "", "", summary.server->scoring, "");
  }
  table.Print(out);
}

void PrintJson(std::ostream& out, const std::vector<MethodSummary>& summaries) {
  Json all = Json::object();
  for (const MethodSummary& summary : summaries) {
    Json one = {{"count", summary.count},
                {"errors", Json::object()},
                {"rate", summary.rate},
                {"latency_ms", SpreadJson(summary.latency)},
                {"first_message_ms", SpreadJson(summary.first_message)}};
    for (const auto& [code, count] : summary.errors) one["errors"][code] = count;
    if (summary.server) {
      one["server_ms"] = {{"queue", SpreadJson(summary.server->queue)},
                          {"evaluation", SpreadJson(summary.server->evaluation)},
                          {"scoring", SpreadJson(summary.server->scoring)}};
    }
    all[std::string(MethodName(summary.method))] = std::move(one);
  }
  out << all.dump(2) << "\n";
}

void PrintCsv(std::ostream& out, const std::vector<CallRecord>& calls) {
  out << "intended,sent,first_message,last,status,method\n";
  for (const CallRecord& call : calls) {
    out << Seconds(call.intended) << ',' << Seconds(call.sent) << ','
        << (call.first_message ? Seconds(*call.first_message) : "") << ',' << Seconds(call.last)
        << ',' << absl::StatusCodeToString(call.code) << ',' << MethodName(call.method) << '\n';
  }
}

}  // namespace bif::client::load
