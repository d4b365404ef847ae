// bifctl checkpoint ...
#include <memory>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/sampler_options.h"
#include "client/paging.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

void Print(Session& session, const v1::Checkpoint& checkpoint) {
  if (session.json) return PrintJson(session.out, checkpoint);
  if (session.quiet) {
    session.out << checkpoint.name() << "\n";
    return;
  }
  Fields fields;
  fields.Add("name", checkpoint.name())
      .Add("display name", checkpoint.display_name())
      .Add("program", checkpoint.program())
      .Add("parameters", Count(checkpoint.parameters()))
      .Add("created (UTC)", TimeText(checkpoint.create_time()))
      .Add("digest", checkpoint.digest())
      .Print(session.out);
}

void AddCreate(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string program, weights, display_name, request_id;
    bool on_server = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand("create", "Names a set of weights for a program");
  command->add_option("--program", a->program, "the program")->required();
  command->add_option("--weights", a->weights,
                      "what is uploaded: a .safetensors file, a *.safetensors.index.json with its "
                      "shards beside it, or a "
                      "folder with either (default: the weights in the program's archive)");
  command->add_flag("--on-server", a->on_server,
                    "--weights is a path on the server, below one of its allowed roots");
  command->add_option("--display-name", a->display_name, "a name for people");
  AddRequestId(command, a->request_id);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::CheckpointSpec spec;
    spec.set_request_id(a->request_id);
    spec.set_display_name(a->display_name);
    spec.set_program(Qualified("programs", a->program));
    if (a->on_server) spec.set_path(a->weights);
    absl::StatusOr<v1::Checkpoint> checkpoint = [&] {
      Progress progress(session);
      return session.client().CreateCheckpoint(std::move(spec), a->on_server ? "" : a->weights,
                                               UploadReporter(progress, "uploading"));
    }();
    if (!checkpoint.ok()) return checkpoint.status();
    Print(session, *checkpoint);
    return absl::OkStatus();
  });
}

void AddList(CLI::App& noun, Action& action) {
  auto limit = std::make_shared<int64_t>(0);
  CLI::App* command = noun.add_subcommand("list", "Lists checkpoints");
  AddLimit(command, *limit);
  On(command, action, [limit](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(
        const auto list,
        (CollectPages<v1::ListCheckpointsResponse, v1::ListCheckpointsRequest>(
            {}, [&](const auto& request) { return session.client().ListCheckpoints(request); },
            [](const auto& all) { return all.checkpoints_size(); }, *limit)));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table({"CHECKPOINT", "PROGRAM", ">PARAMETERS", "CREATED (UTC)", "DISPLAY NAME"});
    for (const v1::Checkpoint& checkpoint : list.checkpoints()) {
      if (session.quiet) session.out << checkpoint.name() << "\n";
      table.Add({ShortName(checkpoint.name()), ShortName(checkpoint.program()),
                 Count(checkpoint.parameters()), TimeText(checkpoint.create_time()),
                 checkpoint.display_name()});
    }
    if (!session.quiet) table.Print(session.out);
    return absl::OkStatus();
  });
}

void AddParameters(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string checkpoint;
    std::vector<std::string> include, exclude, presets;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      noun.add_subcommand("parameters", "Shows which parameters a filter lets move");
  command->add_option("name", a->checkpoint, "the checkpoint")->required();
  AddRepeated(command, "--include", a->include, "glob of parameters that move (default: all)");
  AddRepeated(command, "--exclude", a->exclude, "glob of parameters that stay");
  AddRepeated(command, "--preset", a->presets, "parameters that move beside those of --include")
      ->type_name(kParameterPresets);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ListParametersRequest request;
    request.set_checkpoint(Qualified("checkpoints", a->checkpoint));
    for (const auto& glob : a->include) request.mutable_filter()->add_include(glob);
    for (const auto& glob : a->exclude) request.mutable_filter()->add_exclude(glob);
    for (const auto& preset : a->presets) request.mutable_filter()->add_presets(preset);
    CLIENT_ASSIGN_OR_RETURN(const auto list, session.client().ListParameters(request));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table({"PARAMETER", "SHAPE", ">ELEMENTS", "MOVES"});
    for (const v1::ParameterInfo& parameter : list.parameters()) {
      if (session.quiet && parameter.moves()) session.out << parameter.name() << "\n";
      table.Add({parameter.name(), ShapeText(parameter.shape()), Count(parameter.elements()),
                 parameter.moves() ? "yes" : "-"});
    }
    if (session.quiet) return absl::OkStatus();
    table.Print(session.out);
    session.out << "\n"
                << Count(list.moving_elements()) << " of " << Count(list.total_elements())
                << " elements move\n";
    return absl::OkStatus();
  });
}

}  // namespace

void AddCheckpointCommands(CLI::App& root, Action& action) {
  CLI::App& noun = *AddNoun(root, "checkpoint", "A program plus one set of weights");
  AddCreate(noun, action);
  AddList(noun, action);
  AddParameters(noun, action);
  AddNamedCommand(noun, action, "get", "checkpoints", "Shows a checkpoint",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                                            session.client().GetCheckpoint(name));
                    Print(session, checkpoint);
                    return absl::OkStatus();
                  });
  AddNamedCommand(noun, action, "delete", "checkpoints",
                  "Deletes a checkpoint that no posterior needs",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_RETURN_IF_ERROR(session.client().DeleteCheckpoint(name));
                    PrintDone(session, "deleted", name);
                    return absl::OkStatus();
                  });
}

}  // namespace bif::client
