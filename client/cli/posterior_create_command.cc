// bifctl posterior create
#include <memory>
#include <string>

#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/posterior_output.h"
#include "client/cli/sampler_options.h"
#include "client/cli/target_options.h"
#include "client/operation_result.h"
#include "client/status_macros.h"

namespace bif::client {

void AddPosteriorCreateCommand(CLI::App& posterior, Action& action) {
  struct Arguments {
    std::string checkpoint, dataset, display_name, request_id;
    SamplerOptions sampler;
    TargetOptions target;
    v1::Granularity granularity = v1::GRANULARITY_UNSPECIFIED;
    v1::TokenTraceType token_traces = v1::TOKEN_TRACE_TYPE_UNSPECIFIED;
    int32_t priority = 0;
    bool wait = false, dry_run = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = posterior.add_subcommand("create",
                                               "Samples the local posterior around a checkpoint; "
                                               "what is known already is not sampled again");
  command->add_option("--checkpoint", a->checkpoint, "the checkpoint")->required();
  command->add_option("--dataset", a->dataset, "the training dataset")->required();
  AddSamplerOptions(command, a->sampler);
  AddTargetOptions(command, a->target);
  AddEnumOption(command, "--granularity", a->granularity,
                "whether the losses of the training sequences' tokens are kept too")
      ->default_str("sequence");
  AddEnumOption(command, "--token-traces", a->token_traces,
                "how losses of tokens are kept, now or later")
      ->default_str("fp32");
  command->add_option("--display-name", a->display_name, "a name for people");
  command->add_flag("--wait", a->wait, "wait until it is sampled, and show how far it is");
  command->add_flag("--dry-run", a->dry_run,
                    "check everything, say what it would cost, run nothing");
  AddPriority(command, a->priority);
  AddRequestId(command, a->request_id);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::CreatePosteriorRequest request;
    request.set_request_id(a->request_id);
    request.set_display_name(a->display_name);
    request.set_checkpoint(Qualified("checkpoints", a->checkpoint));
    request.set_dataset(Qualified("datasets", a->dataset));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_settings(), MakeSamplerSettings(a->sampler));
    CLIENT_ASSIGN_OR_RETURN(const auto target,
                            MakeTarget(a->target, request.settings().draws_per_chain()));
    if (target) {
      *request.mutable_target() = *target;
      request.mutable_settings()->clear_draws_per_chain();
    }
    request.set_granularity(a->granularity);
    request.set_token_trace_type(a->token_traces);
    request.set_validate_only(a->dry_run);
    request.set_priority(a->priority);
    CLIENT_ASSIGN_OR_RETURN(auto operation, session.client().CreatePosterior(std::move(request)));
    if (a->dry_run) {
      if (operation.has_error()) return StatusFromRpc(operation.error());
      PrintCostEstimate(session, operation);
      return absl::OkStatus();
    }
    if (!a->wait && !operation.done()) {
      PrintStarted(session, operation);
      return absl::OkStatus();
    }
    CLIENT_ASSIGN_OR_RETURN(operation, Follow(session, std::move(operation)));
    CLIENT_ASSIGN_OR_RETURN(const auto sampled, OperationResult<v1::Posterior>(operation));
    PrintPosterior(session, sampled);
    return absl::OkStatus();
  });
}

}  // namespace bif::client
