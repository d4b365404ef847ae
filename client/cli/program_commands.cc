// bifctl program ...
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/paging.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

std::string ColumnsText(const google::protobuf::RepeatedPtrField<v1::TensorSpec>& columns) {
  std::string text;
  for (const v1::TensorSpec& column : columns) {
    // The program takes integers and floats alike where the file does not say.
    const std::string dtype = column.dtype() == v1::DTYPE_UNSPECIFIED
                                  ? "of any dtype"
                                  : Kebab(v1::DType_Name(column.dtype()));
    absl::StrAppend(&text, text.empty() ? "" : ", ", column.name(), " ", dtype, " ",
                    ShapeText(column.shape()));
  }
  return text;
}

std::string SequenceText(const v1::SequenceSpec& sequence) {
  std::string text = sequence.reduction() == v1::SUM_TOKENS ? "the sum of their tokens' losses"
                                                            : "the mean of their tokens' losses";
  if (!sequence.mask_column().empty())
    absl::StrAppend(&text, ", where '", sequence.mask_column(), "' is not 0");
  if (sequence.max_tokens() > 0)
    absl::StrAppend(&text, ", cut to ", sequence.max_tokens(), " tokens");
  return text;
}

void Print(Session& session, const v1::Program& program) {
  if (session.json) return PrintJson(session.out, program);
  if (session.quiet) {
    session.out << program.name() << "\n";
    return;
  }
  Fields fields;
  fields.Add("name", program.name())
      .Add("display name", program.display_name())
      .Add("loss", Kebab(v1::LossKind_Name(program.loss())))
      .Add("target", program.target_column())
      .Add("sequences", program.has_sequence() ? SequenceText(program.sequence()) : "")
      .Add("columns", ColumnsText(program.columns()))
      .Add("parameters", Count(program.parameters()))
      .Add("classes", program.classes() > 0 ? Count(program.classes()) : "")
      .Add("nodes", Count(program.nodes()))
      .Add("created (UTC)", TimeText(program.create_time()))
      .Add("digest", program.digest())
      .Print(session.out);
}

// "x=0.0039" or, if the program has one input only, "0.0039"; several numbers are one a channel.
absl::Status AddFactors(const std::vector<std::string>& texts, v1::ProgramSpec& spec, bool scale) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    v1::InputBinding* binding = nullptr;
    if (equals == std::string::npos) {
      if (spec.inputs_size() == 1) binding = spec.mutable_inputs(0);
    } else {
      for (v1::InputBinding& input : *spec.mutable_inputs()) {
        if (input.input() == text.substr(0, equals)) binding = &input;
      }
    }
    const char* flag = scale ? "--scale" : "--shift";
    if (binding == nullptr) {
      return UsageError(absl::StrCat(flag, " ", text, ": which --input is meant? ",
                                     "Write INPUT=NUMBER[,NUMBER...]"));
    }
    const std::string numbers = equals == std::string::npos ? text : text.substr(equals + 1);
    for (const auto& number : absl::StrSplit(numbers, ',')) {
      float value = 0;
      if (!absl::SimpleAtof(number, &value)) {
        return UsageError(absl::StrCat(flag, ": '", number, "' is not a number"));
      }
      if (scale) {
        binding->add_scale(value);
      } else {
        binding->add_shift(value);
      }
    }
  }
  return absl::OkStatus();
}

void AddCreate(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string file;
    bool on_server = false;
    v1::LossKind loss = v1::CROSS_ENTROPY;
    std::vector<std::string> inputs, scales, shifts;
    v1::ProgramSpec spec;
    v1::TokenReduction reduction = v1::TOKEN_REDUCTION_UNSPECIFIED;
    std::string mask;
    uint32_t max_tokens = 0;
    std::string target, display_name, request_id;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand("create", "Registers what torch.export wrote (.pt2)");
  command->add_option("file", a->file, "the .pt2 file, uploaded in chunks")->required();
  command->add_flag("--on-server", a->on_server,
                    "the file is a path on the server, below one of its allowed roots");
  AddEnumOption(command, "--loss", a->loss, "how a sample's loss is made from the outputs")
      ->default_str("cross-entropy");
  AddRepeated(command, "--input", a->inputs,
              "INPUT=COLUMN: which dataset column feeds which input of the program")
      ->required()
      ->type_name("INPUT=COLUMN");
  AddRepeated(command, "--scale", a->scales,
              "[INPUT=]NUMBER[,NUMBER...]: the column is multiplied by it")
      ->type_name("[INPUT=]NUMBERS");
  AddRepeated(command, "--shift", a->shifts, "[INPUT=]NUMBER[,NUMBER...]: added after --scale")
      ->type_name("[INPUT=]NUMBERS");
  command->add_option("--target", a->target, "the label, target or token column");
  AddEnumOption(command, "--reduction", a->reduction,
                "with --loss next-token: how a sequence's loss comes from those of its tokens")
      ->default_str("mean-tokens");
  command->add_option("--mask", a->mask,
                      "with --loss next-token: the column that is 0 where a token does not count");
  command->add_option("--max-tokens", a->max_tokens,
                      "with --loss next-token: longer sequences are cut to so many");
  command->add_option("--display-name", a->display_name, "a name for people");
  AddRequestId(command, a->request_id);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ProgramSpec spec;
    spec.set_request_id(a->request_id);
    spec.set_display_name(a->display_name);
    spec.set_loss(a->loss);
    spec.set_target_column(a->target);
    if (a->reduction != v1::TOKEN_REDUCTION_UNSPECIFIED || !a->mask.empty() || a->max_tokens > 0) {
      spec.mutable_sequence()->set_reduction(a->reduction);
      spec.mutable_sequence()->set_mask_column(a->mask);
      spec.mutable_sequence()->set_max_tokens(a->max_tokens);
    }
    for (const std::string& text : a->inputs) {
      CLIENT_ASSIGN_OR_RETURN(const auto sides, ParseAssignment(text));
      v1::InputBinding* binding = spec.add_inputs();
      binding->set_input(sides.first);
      binding->set_column(sides.second);
    }
    CLIENT_RETURN_IF_ERROR(AddFactors(a->scales, spec, true));
    CLIENT_RETURN_IF_ERROR(AddFactors(a->shifts, spec, false));
    if (a->on_server) spec.set_path(a->file);
    absl::StatusOr<v1::Program> program = [&] {
      Progress progress(session);
      return session.client().CreateProgram(std::move(spec), a->on_server ? "" : a->file,
                                            UploadReporter(progress, "uploading"));
    }();
    if (!program.ok()) return program.status();
    Print(session, *program);
    return absl::OkStatus();
  });
}

void AddList(CLI::App& noun, Action& action) {
  auto limit = std::make_shared<int64_t>(0);
  CLI::App* command = noun.add_subcommand("list", "Lists programs");
  AddLimit(command, *limit);
  On(command, action, [limit](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(
        const auto list,
        (CollectPages<v1::ListProgramsResponse, v1::ListProgramsRequest>(
            {}, [&](const auto& request) { return session.client().ListPrograms(request); },
            [](const auto& all) { return all.programs_size(); }, *limit)));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table({"PROGRAM", "LOSS", ">PARAMETERS", ">CLASSES", "CREATED (UTC)", "DISPLAY NAME"});
    for (const v1::Program& program : list.programs()) {
      if (session.quiet) {
        session.out << program.name() << "\n";
        continue;
      }
      table.Add({ShortName(program.name()), Kebab(v1::LossKind_Name(program.loss())),
                 Count(program.parameters()),
                 program.classes() > 0 ? Count(program.classes()) : "-",
                 TimeText(program.create_time()), program.display_name()});
    }
    if (!session.quiet) table.Print(session.out);
    return absl::OkStatus();
  });
}

}  // namespace

void AddProgramCommands(CLI::App& root, Action& action) {
  CLI::App& noun = *AddNoun(root, "program", "Models' computations, as torch.export wrote them");
  AddCreate(noun, action);
  AddList(noun, action);
  AddNamedCommand(noun, action, "get", "programs", "Shows a program",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_ASSIGN_OR_RETURN(const v1::Program program,
                                            session.client().GetProgram(name));
                    Print(session, program);
                    return absl::OkStatus();
                  });
  AddNamedCommand(noun, action, "delete", "programs", "Deletes a program that no checkpoint needs",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_RETURN_IF_ERROR(session.client().DeleteProgram(name));
                    PrintDone(session, "deleted", name);
                    return absl::OkStatus();
                  });
}

}  // namespace bif::client
