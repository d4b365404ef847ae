// The command tree of bifctl and how a run of it ends.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/tls_options.h"
#include "client/error.h"
#include "client/tls.h"

namespace bif::client {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

void AddGlobalOptions(CLI::App& root, Session& session) {
  root.add_option("--server", session.options.server, "address of the server")
      ->envname("BIF_SERVER")
      ->capture_default_str()
      ->type_name("HOST:PORT");
  root.add_option("--token", session.options.token,
                  "a token of the server; better in the environment, where no list of processes "
                  "shows it")
      ->envname("BIF_TOKEN")
      ->type_name("TOKEN");
  AddTlsOptions(root, session.options.tls);
  root.add_flag("--json", session.json, "answers as protobuf JSON");
  root.add_flag("-q,--quiet", session.quiet, "answers as bare names, no progress");
  root.add_option_function<double>(
          "--deadline",
          [&session](double seconds) {
            session.options.call_deadline = absl::Seconds(seconds);
            session.options.stream_deadline = absl::Seconds(seconds);
          },
          "give up on any call after so many seconds (default: 60, streams and uploads never)")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
}

// What is wrong with the command line. CLI11 says of an unknown word that a subcommand is missing;
// the word says more.
std::string UsageText(const CLI::App& root, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = root.remaining(/*recurse=*/true);
  const bool missing = error.get_name() == "RequiredError";
  if (missing && !unknown.empty())
    return absl::StrCat("there is no command or option ", unknown.front());
  return error.what();
}

}  // namespace

void BuildCommandTree(CLI::App& root, Session& session, Action& action) {
  root.description("Asks a bifd server which training samples made a model behave as it does.");
  root.footer("Exit codes: 0 well, 1 the call failed, 2 the command line is wrong.");
  root.require_subcommand(1);
  // Global options may follow the verb; set before the subcommands, which inherit it.
  root.fallthrough();
  AddGlobalOptions(root, session);
  AddProgramCommands(root, action);
  AddCheckpointCommands(root, action);
  AddDatasetCommands(root, action);
  AddPosteriorCommands(root, action);
  AddAttributeCommand(root, action);
  AddScoreCommands(root, action);
  AddTokenInfluenceCommand(root, action);
  AddGroupInfluenceCommand(root, action);
  AddTraceCommands(root, action);
  AddReportCommand(root, action);
  AddOperationCommands(root, action);
  AddServerCommands(root, action);
  AddAdminCommands(root, action);
  AddDataCommands(root, action);
  AddCompletionCommand(root, action);
}

int RunBifctl(std::vector<std::string> arguments, Session& session) {
  Action action;
  CLI::App root("", "bifctl");
  BuildCommandTree(root, session, action);
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    root.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help
      session.out << root.help();
      return kExitOk;
    }
    session.err << "bifctl: " << UsageText(root, error)
                << "\nbifctl COMMAND --help says how it is used.\n";
    return kExitUsage;
  }
  const absl::Status status = action(session);
  if (status.ok()) return kExitOk;
  if (IsUsageError(status)) {
    session.err << "bifctl: " << std::string(status.message()) << "\n";
    return kExitUsage;
  }
  session.err << "bifctl: " << DescribeError(status);
  if (absl::IsUnavailable(status)) {
    session.err << " (server " << session.options.server
                << (session.options.tls.enabled() ? ", over TLS" : ", without TLS");
    const std::string advice = ConnectionAdvice(status.message(), session.options.tls);
    session.err << (advice.empty() ? ")" : "; " + advice + ")");
  }
  session.err << "\n";
  return kExitFailed;
}

}  // namespace bif::client
