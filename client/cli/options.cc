#include "client/cli/options.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/names.h"
#include "client/cli/output.h"

namespace bif::client {
namespace {

// The length of what all spellings begin with, up to a dash: in protobuf, COMPUTE_FP32 and
// COMPUTE_BF16 need a prefix that says nothing behind the flag --compute.
size_t CommonPrefix(const std::vector<std::string>& spellings) {
  const size_t dash = spellings.front().find('-');
  if (dash == std::string::npos) return 0;
  const std::string prefix = spellings.front().substr(0, dash + 1);
  for (const std::string& spelling : spellings) {
    if (!absl::StartsWith(spelling, prefix)) return 0;
  }
  return prefix.size();
}

}  // namespace

google::protobuf::Duration DurationOfSeconds(double seconds) {
  const double whole = std::floor(seconds);
  google::protobuf::Duration duration;
  duration.set_seconds(static_cast<int64_t>(whole));
  duration.set_nanos(static_cast<int32_t>((seconds - whole) * 1e9));
  return duration;
}

CLI::App* AddNoun(CLI::App& root, const std::string& noun, const std::string& about) {
  CLI::App* group = root.add_subcommand(noun, about);
  group->require_subcommand(1);
  return group;
}

void On(CLI::App* command, Action& action, Action what) {
  command->final_callback([&action, what = std::move(what)] { action = what; });
}

void AddNamedCommand(CLI::App& noun, Action& action, const std::string& verb,
                     const std::string& collection, const std::string& about,
                     std::function<absl::Status(Session&, const std::string&)> what) {
  CLI::App* command = noun.add_subcommand(verb, about);
  auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "its name, with or without " + collection + "/")->required();
  On(command, action, [name, collection, what = std::move(what)](Session& session) {
    return what(session, Qualified(collection, *name));
  });
}

CLI::Option* AddEnumOption(CLI::App* command, const std::string& flag,
                           const google::protobuf::EnumDescriptor* values,
                           std::function<void(int)> set, const std::string& about) {
  std::vector<std::pair<std::string, int>> choices;
  std::vector<std::string> spellings;
  for (int i = 0; i < values->value_count(); ++i) {
    if (values->value(i)->number() == 0) continue;
    spellings.push_back(Kebab(values->value(i)->name()));
    choices.emplace_back("", values->value(i)->number());
  }
  const size_t prefix = CommonPrefix(spellings);
  for (size_t i = 0; i < choices.size(); ++i) {
    spellings[i].erase(0, prefix);
    choices[i].first = spellings[i];
  }
  const std::string allowed = absl::StrJoin(spellings, "|");
  CLI::Option* option = command->add_option_function<std::string>(
      flag,
      [choices, allowed, flag, set = std::move(set)](const std::string& text) {
        const std::string asked = Kebab(text);
        std::vector<int> matches;
        for (const auto& [spelling, number] : choices) {
          if (spelling == asked) return set(number);
          if (!asked.empty() && absl::StartsWith(spelling, asked)) matches.push_back(number);
        }
        if (matches.size() != 1) throw CLI::ValidationError(flag, text + " is none of " + allowed);
        set(matches.front());
      },
      about);
  return option->type_name(allowed);
}

CLI::Option* AddRepeated(CLI::App* command, const std::string& flag,
                         std::vector<std::string>& values, const std::string& about) {
  return command->add_option(flag, values, about)->allow_extra_args(false);
}

void AddRequestId(CLI::App* command, std::string& request_id) {
  command->add_option("--request-id", request_id,
                      "makes the call safe to repeat: same id and arguments, same result "
                      "(default: random)");
}

void AddPriority(CLI::App* command, int32_t& priority) {
  command
      ->add_option("--priority", priority,
                   "among your tenant's own work of this kind; higher goes first")
      ->check(CLI::Range(-100, 100))
      ->capture_default_str();
}

void AddLimit(CLI::App* command, int64_t& limit) {
  command->add_option("--limit", limit, "stop after the page that holds the so-many-th; 0 is all")
      ->check(CLI::NonNegativeNumber);
}

void PrintDone(Session& session, const std::string& verb, const std::string& name) {
  if (session.json) {
    session.out << "{}\n";
  } else if (session.quiet) {
    session.out << name << "\n";
  } else {
    session.out << verb << " " << name << "\n";
  }
}

}  // namespace bif::client
