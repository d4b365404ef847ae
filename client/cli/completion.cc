#include "client/cli/completion.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace bif::client {
namespace {

void Collect(const CLI::App& app, const std::string& path, std::vector<CompletionCommand>& tree) {
  CompletionCommand command;
  command.path = path;
  command.about = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) continue;
    CompletionOption shown;
    shown.flag = "--" + option->get_lnames().front();
    shown.about = option->get_description();
    shown.takes_value = option->get_items_expected_max() > 0;
    // Options with a fixed set of values name them as type: a|b|c. Capitals are placeholders.
    const std::string type = option->get_type_name();
    if (absl::StrContains(type, "|")) {
      for (const auto& choice : absl::StrSplit(type, '|')) {
        if (!absl::StrContains(choice, "N")) shown.choices.emplace_back(choice);
      }
    }
    command.options.push_back(std::move(shown));
  }
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* verb : verbs) command.verbs.push_back(verb->get_name());
  tree.push_back(std::move(command));
  for (const CLI::App* verb : verbs) {
    Collect(*verb, path.empty() ? verb->get_name() : path + " " + verb->get_name(), tree);
  }
}

std::vector<std::string> Words(const CompletionCommand& command) {
  std::vector<std::string> words = command.verbs;
  for (const CompletionOption& option : command.options) words.push_back(option.flag);
  return words;
}

// Shell functions that bash and zsh share: the words after a command, the values of an option, and
// the command that the words so far amount to.
std::string SharedFunctions(const std::vector<CompletionCommand>& tree) {
  std::string text = "_bifctl_words() {\n  case \"$1\" in\n";
  for (const CompletionCommand& command : tree) {
    absl::StrAppend(&text, "    '", command.path, "') echo '", absl::StrJoin(Words(command), " "),
                    "' ;;\n");
  }
  absl::StrAppend(&text, "  esac\n}\n_bifctl_values() {\n  case \"$1 $2\" in\n");
  for (const CompletionCommand& command : tree) {
    for (const CompletionOption& option : command.options) {
      if (option.choices.empty()) continue;
      absl::StrAppend(&text, "    '", command.path, " ", option.flag, "') echo '",
                      absl::StrJoin(option.choices, " "), "' ;;\n");
    }
  }
  absl::StrAppend(
      &text, "  esac\n}\n_bifctl_path() {\n  local at='' word\n  for word in \"$@\"; do\n",
      "    case \" $(_bifctl_words \"$at\") \" in\n",
      "      *\" $word \"*) case \"$word\" in -*) ;; *) at=\"${at:+$at }$word\" ;; esac ;;\n",
      "    esac\n  done\n  echo \"$at\"\n}\n");
  return text;
}

std::string FishQuoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

}  // namespace

std::vector<CompletionCommand> CompletionTree(const CLI::App& root) {
  std::vector<CompletionCommand> tree;
  Collect(root, "", tree);
  return tree;
}

std::string BashCompletion(const std::vector<CompletionCommand>& tree) {
  return absl::StrCat("# bifctl completion for bash: source <(bifctl completion bash)\n",
                      SharedFunctions(tree), R"sh(_bifctl() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" at values
  at="$(_bifctl_path "${COMP_WORDS[@]:1:COMP_CWORD-1}")"
  values="$(_bifctl_values "$at" "$previous")"
  COMPREPLY=($(compgen -W "${values:-$(_bifctl_words "$at")}" -- "$current"))
}
complete -o default -F _bifctl bifctl
)sh");
}

std::string ZshCompletion(const std::vector<CompletionCommand>& tree) {
  return absl::StrCat(
      "#compdef bifctl\n# bifctl completion for zsh: source <(bifctl completion zsh)\n",
      SharedFunctions(tree), R"sh(_bifctl() {
  local at values
  at="$(_bifctl_path "${(@)words[2,CURRENT-1]}")"
  values="$(_bifctl_values "$at" "${words[CURRENT-1]}")"
  compadd -- ${=${values:-$(_bifctl_words "$at")}}
  _files
}
compdef _bifctl bifctl
)sh");
}

std::string FishCompletion(const std::vector<CompletionCommand>& tree) {
  std::string text = R"sh(# bifctl completion for fish: bifctl completion fish | source
# The words typed so far are the noun $argv[1], or go on from the command $argv[1].
function __bifctl_at
  set -l words (commandline -opc)
  set -e words[1]
  set -l at
  for word in $words
    string match -q -- '-*' $word; or set -a at $word
  end
  if test "$argv[2]" = noun
    test "$at" = "$argv[1]"
  else
    string match -q -- "$argv[1] *" "$at "
  end
end
)sh";
  for (const CompletionCommand& command : tree) {
    const std::string here =
        absl::StrCat("complete -c bifctl -n ", FishQuoted("__bifctl_at \"" + command.path + "\"" +
                                                          (command.verbs.empty() ? "" : " noun")));
    for (const std::string& verb : command.verbs) {
      absl::StrAppend(&text, here, " -f -a ", FishQuoted(verb), "\n");
    }
    for (const CompletionOption& option : command.options) {
      absl::StrAppend(&text, here, " -l ", option.flag.substr(2), option.takes_value ? " -r" : "");
      if (!option.choices.empty()) {
        absl::StrAppend(&text, " -f -a ", FishQuoted(absl::StrJoin(option.choices, " ")));
      }
      absl::StrAppend(&text, " -d ", FishQuoted(option.about), "\n");
    }
  }
  return text;
}

}  // namespace bif::client
