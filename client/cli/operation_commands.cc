// bifctl operation ...
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/error.h"
#include "client/paging.h"
#include "client/status_macros.h"
#include "google/rpc/status.pb.h"

namespace bif::client {
namespace {

using google::longrunning::ListOperationsRequest;
using google::longrunning::ListOperationsResponse;
using google::longrunning::Operation;

std::string SubjectOf(const Operation& operation) {
  v1::PosteriorProgress posterior;
  v1::TraceProgress trace;
  if (operation.metadata().UnpackTo(&posterior)) return posterior.posterior();
  if (operation.metadata().UnpackTo(&trace)) return trace.posterior();
  return "";
}

absl::Status Print(Session& session, const Operation& operation) {
  if (session.json) {
    PrintJson(session.out, operation);
  } else if (session.quiet) {
    session.out << operation.name() << "\n";
  } else {
    Fields fields;
    fields.Add("name", operation.name())
        .Add("state", OperationStateText(operation))
        .Add("posterior", SubjectOf(operation))
        .Add("progress", RenderProgress(ProgressOf(operation), 24))
        .Print(session.out);
  }
  return absl::OkStatus();
}

// An operation that failed makes the command that waited for it fail.
absl::Status PrintFinished(Session& session, const Operation& operation) {
  CLIENT_RETURN_IF_ERROR(Print(session, operation));
  return operation.has_error() ? StatusFromRpc(operation.error()) : absl::OkStatus();
}

void AddList(CLI::App& noun, Action& action) {
  auto limit = std::make_shared<int64_t>(0);
  CLI::App* command = noun.add_subcommand("list", "Lists operations");
  AddLimit(command, *limit);
  On(command, action, [limit](Session& session) -> absl::Status {
    ListOperationsRequest all;
    all.set_name("operations");
    CLIENT_ASSIGN_OR_RETURN(
        const auto list,
        (CollectPages<ListOperationsResponse, ListOperationsRequest>(
            all, [&](const auto& request) { return session.client().ListOperations(request); },
            [](const auto& page) { return page.operations_size(); }, *limit)));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table({"OPERATION", "POSTERIOR", "STATE", "PROGRESS"});
    for (const Operation& operation : list.operations()) {
      if (session.quiet) session.out << operation.name() << "\n";
      const ProgressState progress = ProgressOf(operation);
      table.Add({ShortName(operation.name()), ShortName(SubjectOf(operation)),
                 OperationStateText(operation),
                 progress.total > 0
                     ? absl::StrCat(progress.stage, " ", progress.done, "/", progress.total)
                     : progress.stage});
    }
    if (!session.quiet) table.Print(session.out);
    return absl::OkStatus();
  });
}

void AddWait(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string name;
    double timeout_seconds = 0;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand("wait", "Waits until an operation is done");
  command->add_option("name", a->name, "the operation")->required();
  command->add_option("--timeout", a->timeout_seconds, "seconds to wait at most; 0 is for ever")
      ->check(CLI::NonNegativeNumber);
  On(command, action, [a](Session& session) -> absl::Status {
    const absl::Duration timeout =
        a->timeout_seconds > 0 ? absl::Seconds(a->timeout_seconds) : absl::InfiniteDuration();
    CLIENT_ASSIGN_OR_RETURN(
        const Operation operation,
        session.client().WaitOperation(Qualified("operations", a->name), timeout));
    return PrintFinished(session, operation);
  });
}

}  // namespace

void AddOperationCommands(CLI::App& root, Action& action) {
  CLI::App& noun = *AddNoun(root, "operation", "Long-running work: sampling, tracing");
  AddNamedCommand(noun, action, "get", "operations", "Shows an operation",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_ASSIGN_OR_RETURN(const Operation operation,
                                            session.client().GetOperation(name));
                    return Print(session, operation);
                  });
  AddList(noun, action);
  AddWait(noun, action);
  AddNamedCommand(
      noun, action, "watch", "operations", "Shows an operation's progress until it is done",
      [](Session& session, const std::string& name) -> absl::Status {
        CLIENT_ASSIGN_OR_RETURN(Operation operation, session.client().GetOperation(name));
        CLIENT_ASSIGN_OR_RETURN(operation, Follow(session, std::move(operation)));
        return PrintFinished(session, operation);
      });
  AddNamedCommand(noun, action, "cancel", "operations",
                  "Stops an operation; draws that were taken are kept",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_RETURN_IF_ERROR(session.client().CancelOperation(name));
                    PrintDone(session, "cancelling", name);
                    return absl::OkStatus();
                  });
  AddNamedCommand(noun, action, "delete", "operations", "Forgets an operation that is done",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_RETURN_IF_ERROR(session.client().DeleteOperation(name));
                    PrintDone(session, "deleted", name);
                    return absl::OkStatus();
                  });
}

}  // namespace bif::client
