// bifctl completion bash|zsh|fish
#include <memory>
#include <string>

#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "client/cli/options.h"

namespace bif::client {

void AddCompletionCommand(CLI::App& root, Action& action) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = root.add_subcommand("completion", "Prints a shell's completion script");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  On(command, action, [&root, shell](Session& session) {
    const auto tree = CompletionTree(root);
    session.out << (*shell == "bash"  ? BashCompletion(tree)
                    : *shell == "zsh" ? ZshCompletion(tree)
                                      : FishCompletion(tree));
    return absl::OkStatus();
  });
}

}  // namespace bif::client
