// bifctl posterior ... (create is in posterior_create_command.cc)
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/posterior_output.h"
#include "client/cli/target_options.h"
#include "client/operation_result.h"
#include "client/paging.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

void AddExtend(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string posterior, request_id;
    uint32_t draws = 0;
    TargetOptions target;
    int32_t priority = 0;
    bool wait = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand("extend", "More draws for every chain");
  command->add_option("name", a->posterior, "the posterior")->required();
  command
      ->add_option("--draws", a->draws,
                   "the new total for each chain; with a target, the most there may be")
      ->check(CLI::PositiveNumber);
  AddTargetOptions(command, a->target);
  command->add_flag("--wait", a->wait, "wait until it is sampled, and show how far it is");
  AddPriority(command, a->priority);
  AddRequestId(command, a->request_id);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ExtendPosteriorRequest request;
    request.set_request_id(a->request_id);
    request.set_name(Qualified("posteriors", a->posterior));
    CLIENT_ASSIGN_OR_RETURN(const auto target, MakeTarget(a->target, a->draws));
    if (target) {
      *request.mutable_target() = *target;
    } else if (a->draws == 0) {
      return UsageError("--draws N, or a target: how far is it to be sampled?");
    } else {
      request.set_draws_per_chain(a->draws);
    }
    request.set_priority(a->priority);
    CLIENT_ASSIGN_OR_RETURN(auto operation, session.client().ExtendPosterior(std::move(request)));
    if (!a->wait && !operation.done()) {
      PrintStarted(session, operation);
      return absl::OkStatus();
    }
    CLIENT_ASSIGN_OR_RETURN(operation, Follow(session, std::move(operation)));
    CLIENT_ASSIGN_OR_RETURN(const auto posterior, OperationResult<v1::Posterior>(operation));
    PrintPosterior(session, posterior);
    return absl::OkStatus();
  });
}

void AddList(CLI::App& noun, Action& action) {
  auto limit = std::make_shared<int64_t>(0);
  CLI::App* command = noun.add_subcommand("list", "Lists posteriors");
  AddLimit(command, *limit);
  On(command, action, [limit](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(
        const auto list,
        (CollectPages<v1::ListPosteriorsResponse, v1::ListPosteriorsRequest>(
            {}, [&](const auto& request) { return session.client().ListPosteriors(request); },
            [](const auto& all) { return all.posteriors_size(); }, *limit)));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table(
        {"POSTERIOR", "STATE", "CHECKPOINT", "DATASET", "CHAINS", "CREATED (UTC)", "DISPLAY NAME"});
    for (const v1::Posterior& posterior : list.posteriors()) {
      if (session.quiet) session.out << posterior.name() << "\n";
      table.Add({ShortName(posterior.name()), Kebab(v1::PosteriorState_Name(posterior.state())),
                 ShortName(posterior.checkpoint()), ShortName(posterior.dataset()),
                 absl::StrCat(posterior.chains_size(), " x ", posterior.draws_per_chain()),
                 TimeText(posterior.create_time()), posterior.display_name()});
    }
    if (!session.quiet) table.Print(session.out);
    return absl::OkStatus();
  });
}

}  // namespace

void AddPosteriorCommands(CLI::App& root, Action& action) {
  CLI::App& noun = *AddNoun(root, "posterior", "Local posteriors: chains of sampled weights");
  AddPosteriorCreateCommand(noun, action);
  AddExtend(noun, action);
  AddNamedCommand(noun, action, "get", "posteriors", "Shows a posterior",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_ASSIGN_OR_RETURN(const auto posterior,
                                            session.client().GetPosterior(name));
                    PrintPosterior(session, posterior);
                    return absl::OkStatus();
                  });
  AddList(noun, action);
  AddPosteriorLlcCommand(noun, action);
  AddNamedCommand(noun, action, "delete", "posteriors", "Deletes a posterior, its draws and traces",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_RETURN_IF_ERROR(session.client().DeletePosterior(name));
                    PrintDone(session, "deleted", name);
                    return absl::OkStatus();
                  });
  AddNamedCommand(noun, action, "diagnostics", "posteriors",
                  "Whether the chains mixed: R-hat, ESS, local learning coefficient, verdict",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_ASSIGN_OR_RETURN(const auto diagnostics,
                                            session.client().GetDiagnostics(name));
                    PrintDiagnostics(session, diagnostics);
                    return absl::OkStatus();
                  });
}

}  // namespace bif::client
