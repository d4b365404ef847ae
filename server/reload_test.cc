#include "server/reload.h"

#include <gtest/gtest.h>

namespace bif::server {
namespace {

TEST(Reload, TakesTheLogsSettingsAndLeavesWhatNeedsARestart) {
  DaemonConfig running{.data_directory = "/d"};
  CommandLine reread{.config = running};
  reread.config.log_level = observe::LogLevel::kError;
  reread.config.log_format = observe::LogFormat::kJson;
  reread.config.threads = 7;
  Reload(reread, running);
  DaemonConfig expected{.data_directory = "/d"};
  expected.log_level = observe::LogLevel::kError;
  expected.log_format = observe::LogFormat::kJson;
  EXPECT_EQ(running, expected);
  Reload({.config = {.data_directory = "/d"}}, running);  // also for the tests that follow
  EXPECT_EQ(running.log_level, observe::LogLevel::kInfo);
}

TEST(Reload, AMistakeInTheFileChangesNothing) {
  DaemonConfig running{.data_directory = "/d"};
  CommandLine reread{.config = running, .exit_code = 2, .message = "bifd: no\n"};
  reread.config.log_level = observe::LogLevel::kError;
  Reload(reread, running);
  EXPECT_EQ(running, DaemonConfig{.data_directory = "/d"});
}

// Whatever is marked as taken by a reload is taken by it: a field that is marked and then forgotten
// in reload.cc would be reported as applied and never be.
TEST(Reload, EveryFieldMarkedSoIsTaken) {
  const DaemonConfig before;
  DaemonConfig other{.data_directory = "/d",
                     .listen = "127.0.0.1:1",
                     .metrics = "",
                     .device = "cuda:1",
                     .threads = 3,
                     .allowed_roots = {"/"},
                     .memory_mib = 99,
                     .require_tokens = true,
                     .port_file = "/p",
                     .drain_time = absl::Seconds(1),
                     .log_level = observe::LogLevel::kError,
                     .log_format = observe::LogFormat::kJson};
  ASSERT_EQ(ConfigChanges(before, other).size(), ConfigFields(before).size())
      << "give `other` a value of its own for every field";
  DaemonConfig running = before;
  Reload({.config = other}, running);
  for (const ConfigChange& change : ConfigChanges(running, other)) {
    EXPECT_TRUE(change.needs_restart) << change.field;
  }
  Reload({.config = before}, running);
}

}  // namespace
}  // namespace bif::server
