// What bifctl says of itself, and to command lines that are wrong.
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

// Every path of the tree that ends a command, e.g. "program create".
std::vector<std::string> Leaves() {
  std::ostringstream out, err;
  Session session(out, err);
  Action action;
  CLI::App root;
  BuildCommandTree(root, session, action);
  std::vector<std::string> leaves;
  for (const CompletionCommand& command : CompletionTree(root)) {
    if (command.verbs.empty()) leaves.push_back(command.path);
  }
  return leaves;
}

TEST(BifctlUsage, EveryCommandExplainsItself) {
  for (const std::string& leaf : Leaves()) {
    const Ran ran = RunLine(leaf + " --help");
    EXPECT_EQ(ran.exit_code, 0) << leaf;
    EXPECT_THAT(ran.out, AllOf(HasSubstr("Usage: bifctl " + leaf), HasSubstr("--help"))) << leaf;
    EXPECT_THAT(ran.err, IsEmpty()) << leaf;
  }
}

TEST(BifctlUsage, EveryCommandRefusesNonsense) {
  for (const std::string& leaf : Leaves()) {
    const Ran ran = RunLine(leaf + " --no-such-option x");
    EXPECT_EQ(ran.exit_code, 2) << leaf;
    EXPECT_THAT(ran.err, HasSubstr("bifctl: ")) << leaf;
    EXPECT_THAT(ran.out, IsEmpty()) << leaf;
  }
}

TEST(BifctlUsage, EveryMethodHasItsCommand) {
  const std::vector<std::string> leaves = Leaves();
  for (const char* command : {"program create",
                              "program get",
                              "program list",
                              "program delete",
                              "checkpoint create",
                              "checkpoint get",
                              "checkpoint list",
                              "checkpoint delete",
                              "checkpoint parameters",
                              "dataset create",
                              "dataset import-idx",
                              "dataset import-cifar",
                              "dataset import-safetensors",
                              "dataset append",
                              "dataset get",
                              "dataset list",
                              "dataset delete",
                              "dataset samples",
                              "dataset sample",
                              "dataset delete-samples",
                              "posterior create",
                              "posterior extend",
                              "posterior get",
                              "posterior list",
                              "posterior delete",
                              "posterior diagnostics",
                              "trace",
                              "attribute",
                              "score-matrix",
                              "self-influence",
                              "export-traces",
                              "operation get",
                              "operation list",
                              "operation wait",
                              "operation watch",
                              "operation cancel",
                              "operation delete",
                              "server info",
                              "health",
                              "backup",
                              "scrub",
                              "report",
                              "completion"}) {
    EXPECT_THAT(leaves, testing::Contains(command));
  }
}

TEST(BifctlUsage, MistakesOnTheCommandLineExitWithTwo) {
  for (const char* line :
       {"",
        "nonsense",
        "program",
        "program create",
        "program create m.pt2",
        "program list checkpoint list",
        "program create m.pt2 --input x=image --loss hinge",
        "program create m.pt2 --input image",
        "program create m.pt2 --input x=image --scale y=2",
        "program create m.pt2 --input x=image --scale two",
        "dataset create d",
        "dataset create d --column image",
        "dataset import-idx d image",
        "dataset import-idx d image=f --max-rows -1",
        "dataset append d /no/such/file",
        "posterior create --checkpoint c --dataset d",
        "posterior create --checkpoint c --dataset d --preset haste",
        "posterior create --checkpoint c --dataset d --preset attention",
        "posterior create --checkpoint c --dataset d --preset vision --preset language",
        "posterior create --checkpoint c --dataset d --preset vision --steps-between-draws often",
        "posterior create --checkpoint c --dataset d --preset vision --codec int5",
        "posterior create --checkpoint c --dataset d --preset vision --batch-order replay",
        "posterior create --checkpoint c --dataset d --preset vision --replay-batches f "
        "--batch-order with-replacement",
        "posterior extend p",
        "posterior extend p --draws 0",
        "attribute --posterior p",
        "attribute --posterior p --query 17",
        "attribute --posterior p --query a/1 b/1",
        "attribute --posterior p --query a/1 --top-k 0",
        "attribute --posterior p --query a/1 --observable accuracy",
        "report --posterior p --query a/1",
        "completion tcsh",
        "program list --deadline 0",
        "backup",
        "scrub --mib-per-second 0",
        "operation wait o --timeout -1"}) {
    const Ran ran = RunLine(line);
    EXPECT_EQ(ran.exit_code, 2) << line;
    EXPECT_THAT(ran.err, HasSubstr("bifctl: ")) << line;
  }
}

TEST(BifctlUsage, AnUnknownCommandIsNamed) {
  EXPECT_THAT(RunLine("programme list").err, HasSubstr("programme"));
  EXPECT_THAT(RunLine("program remove").err, HasSubstr("remove"));
}

TEST(BifctlUsage, AServerThatIsNotThereExitsWithOneAndNamesIt) {
  const Ran ran = RunLine("server info");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("server unavailable"), HasSubstr("127.0.0.1:1")));
}

}  // namespace
}  // namespace bif::client
