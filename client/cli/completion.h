// Shell completion, generated from the command tree, so that it cannot fall behind it. Pure
// functions.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace bif::client {

// One option as a shell needs it.
struct CompletionOption {
  std::string flag;  // --loss
  std::string about;
  std::vector<std::string> choices;  // empty: free text
  bool takes_value = false;
};

// One command of the tree, e.g. path "program create".
struct CompletionCommand {
  std::string path;
  std::string about;
  std::vector<std::string> verbs;
  std::vector<CompletionOption> options;
};

// All commands, the root (path "") first.
std::vector<CompletionCommand> CompletionTree(const CLI::App& root);

std::string BashCompletion(const std::vector<CompletionCommand>& tree);
std::string ZshCompletion(const std::vector<CompletionCommand>& tree);
std::string FishCompletion(const std::vector<CompletionCommand>& tree);

}  // namespace bif::client
