#include "client/load/app.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "CLI/CLI.hpp"
#include "client/cli/tls_options.h"
#include "client/client.h"
#include "client/error.h"
#include "client/load/driver.h"
#include "client/load/output.h"
#include "client/status_macros.h"

namespace bif::client::load {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Options {
  ClientOptions client;
  std::string mix = "stored-top-k=8,new-query=1,health=1";
  RequestOptions requests;
  CallerOptions caller;
  DriverOptions driver;
  uint64_t seed = 1;
  std::string csv;
  bool json = false;
};

void AddSeconds(CLI::App& app, const std::string& flag, absl::Duration& target,
                const CLI::Validator& check, const std::string& about) {
  app.add_option_function<double>(
         flag, [&target](double seconds) { target = absl::Seconds(seconds); }, about)
      ->type_name("SECONDS")
      ->default_str(absl::FormatDuration(target))
      ->check(check);
}

void AddOptions(CLI::App& app, Options& options) {
  app.option_defaults()->always_capture_default();
  app.add_option("--server", options.client.server, "address of the server")
      ->envname("BIF_SERVER")
      ->type_name("HOST:PORT");
  app.add_option("--token", options.client.token, "a token of the server")
      ->envname("BIF_TOKEN")
      ->type_name("TOKEN")
      ->default_str("");
  AddTlsOptions(app, options.client.tls);
  app.add_option("--posterior", options.requests.posterior, "what attribution asks");
  app.add_option("--dataset", options.requests.dataset,
                 "whose samples are asked about; default: the posterior's own");
  app.add_option("--mix", options.mix,
                 "calls and their weights: stored-top-k (a look-up), new-query (an inline sample "
                 "that the server has not seen), health");
  app.add_option("--top-k", options.requests.top_k, "of every attribution")
      ->check(CLI::PositiveNumber);
  app.add_option("--samples", options.requests.samples, "stored samples to ask about in turn")
      ->check(CLI::PositiveNumber);
  CLI::Option* closed = app.add_option("--concurrency", options.driver.concurrency,
                                       "closed loop: so many callers, each waits for its answer")
                            ->check(CLI::PositiveNumber);
  app.add_option("--rate", options.driver.rate,
                 "open loop: calls a second at random times (Poisson) that do not wait for the "
                 "server; latency counts from when a call was due")
      ->check(CLI::PositiveNumber)
      ->excludes(closed);
  AddSeconds(app, "--duration", options.driver.duration, CLI::PositiveNumber,
             "how long calls are sent and recorded");
  AddSeconds(app, "--warm-up", options.driver.warm_up, CLI::NonNegativeNumber,
             "before it: calls that are not recorded");
  app.add_option("--calls", options.driver.calls, "end after so many calls; 0: by time alone")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--connections", options.caller.connections, "that the calls take in turn")
      ->check(CLI::PositiveNumber);
  app.add_option("--idle-connections", options.caller.idle_connections, "more that do nothing")
      ->check(CLI::NonNegativeNumber);
  AddSeconds(app, "--deadline", options.caller.deadline, CLI::PositiveNumber, "of every call");
  app.add_option("--seed", options.seed,
                 "of times, mix and new queries; with a seed that the server has seen, new queries "
                 "are look-ups");
  app.add_option("--csv", options.csv, "writes a line a call to a file");
  app.add_flag("--json", options.json, "prints JSON instead of a table");
}

absl::Status Run(Options& options, std::ostream& out) {
  options.caller.server = options.client.server;
  options.caller.token = options.client.token;
  options.caller.tls = options.client.tls;
  options.requests.seed = options.seed;
  options.driver.seed = ~options.seed;  // times and requests do not share random numbers
  Client client(options.client);
  CLIENT_ASSIGN_OR_RETURN(Requests requests, Requests::Make(client, options.requests));
  CLIENT_ASSIGN_OR_RETURN(const std::unique_ptr<Caller> caller, Caller::Connect(options.caller));
  std::ofstream csv;
  if (!options.csv.empty()) {
    csv.open(options.csv);  // before the run: a wrong path should not cost one
    if (!csv) return absl::UnavailableError(options.csv + " cannot be written");
  }
  SteadyRunClock clock;
  const std::vector<CallRecord> calls = Drive(options.driver, requests, *caller, clock);
  if (csv.is_open()) {
    PrintCsv(csv, calls);
    csv.close();
    if (!csv) return absl::UnavailableError(options.csv + " could not be written");
  }
  const std::vector<MethodSummary> summaries = Summarise(calls, options.driver.warm_up);
  options.json ? PrintJson(out, summaries) : PrintTable(out, summaries);
  return absl::OkStatus();
}

}  // namespace

int RunLoad(std::vector<std::string> arguments, std::ostream& out, std::ostream& err) {
  Options options;
  CLI::App app("Puts a load on a bifd server and says how it answers.", "bif-load");
  AddOptions(app, options);
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help
      out << app.help();
      return kExitOk;
    }
    err << "bif-load: " << error.what() << "\nbif-load --help says how it is used.\n";
    return kExitUsage;
  }
  absl::StatusOr<Mix> mix = ParseMix(options.mix);
  if (!mix.ok()) {
    err << "bif-load: --mix: " << mix.status().message() << "\n";
    return kExitUsage;
  }
  options.requests.mix = *std::move(mix);
  const absl::Status status = Run(options, out);
  if (status.ok()) return kExitOk;
  err << "bif-load: " << DescribeError(status) << "\n";
  return kExitFailed;
}

}  // namespace bif::client::load
