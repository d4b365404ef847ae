#include "client/cli/completion.h"

#include <sstream>

#include "client/cli/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::client {
namespace {

using testing::Contains;
using testing::HasSubstr;

class CompletionTest : public testing::Test {
 protected:
  CompletionTest() : session_(out_, err_) {
    BuildCommandTree(root_, session_, action_);
    tree_ = CompletionTree(root_);
  }

  const CompletionCommand& At(const std::string& path) {
    for (const CompletionCommand& command : tree_) {
      if (command.path == path) return command;
    }
    ADD_FAILURE() << "no command " << path;
    return tree_.front();
  }

  std::ostringstream out_, err_;
  Session session_;
  Action action_;
  CLI::App root_;
  std::vector<CompletionCommand> tree_;
};

TEST_F(CompletionTest, EveryCommandAndOptionIsInEveryScript) {
  const std::string bash = BashCompletion(tree_), zsh = ZshCompletion(tree_),
                    fish = FishCompletion(tree_);
  ASSERT_GT(tree_.size(), 40u);
  for (const CompletionCommand& command : tree_) {
    EXPECT_THAT(bash, HasSubstr("'" + command.path + "')"));
    EXPECT_THAT(zsh, HasSubstr("'" + command.path + "')"));
    EXPECT_THAT(fish, HasSubstr("__bifctl_at \"" + command.path + "\""));
    for (const CompletionOption& option : command.options) {
      EXPECT_THAT(bash, HasSubstr(option.flag));
      EXPECT_THAT(fish, HasSubstr("-l " + option.flag.substr(2)));
    }
  }
}

TEST_F(CompletionTest, OptionsWithFixedValuesOfferThem) {
  const auto& options = At("program create").options;
  const auto loss = std::find_if(options.begin(), options.end(),
                                 [](const auto& o) { return o.flag == "--loss"; });
  ASSERT_NE(loss, options.end());
  EXPECT_EQ(loss->choices, (std::vector<std::string>{"cross-entropy", "squared-error",
                                                     "program-losses", "next-token"}));
  EXPECT_THAT(
      BashCompletion(tree_),
      HasSubstr(
          "'program create --loss') echo 'cross-entropy squared-error program-losses next-token'"));
}

TEST_F(CompletionTest, NounsOfferTheirVerbs) {
  EXPECT_THAT(At("").verbs, Contains("posterior"));
  EXPECT_THAT(At("posterior").verbs, Contains("diagnostics"));
}

}  // namespace
}  // namespace bif::client
