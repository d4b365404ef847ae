#include "server/reload.h"

#include <gtest/gtest.h>

namespace bif::server {
namespace {

Reloader Rereading(const DaemonConfig& running, const CommandLine& reread) {
  return Reloader(running, [reread] { return reread; });
}

TEST(Reload, TakesTheLogsSettingsAndLeavesWhatNeedsARestart) {
  const DaemonConfig before{.data_directory = "/d"};
  CommandLine reread{.config = before};
  reread.config.log_level = observe::LogLevel::kError;
  reread.config.log_format = observe::LogFormat::kJson;
  reread.config.threads = 7;
  Reloader reloader(before, [&reread] { return reread; });
  const auto changes = reloader.Reload();
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_EQ(changes->size(), 3u);
  DaemonConfig expected = before;
  expected.log_level = observe::LogLevel::kError;
  expected.log_format = observe::LogFormat::kJson;
  EXPECT_EQ(reloader.running(), expected);
  reread.config = before;
  ASSERT_TRUE(reloader.Reload().ok());  // also for the tests that follow
  EXPECT_EQ(reloader.running(), before);
}

TEST(Reload, AMistakeInTheFileChangesNothing) {
  const DaemonConfig before{.data_directory = "/d"};
  CommandLine reread{.config = before, .exit_code = 2, .message = "bifd: no such field\nmore\n"};
  reread.config.log_level = observe::LogLevel::kError;
  Reloader reloader = Rereading(before, reread);
  const absl::Status refused = reloader.Reload().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.message(),
            "nothing was changed: bifd: no such field; correct it and reload again");
  EXPECT_EQ(reloader.running(), before);
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
                     .device_stuck = absl::Seconds(2),
                     .allowed_roots = {"/"},
                     .memory_mib = 99,
                     .scrub_hours = 5,
                     .require_tokens = true,
                     .tls = {"/c", "/k", "/a"},
                     .port_file = "/p",
                     .drain_time = absl::Seconds(1),
                     .log_level = observe::LogLevel::kError,
                     .log_format = observe::LogFormat::kJson};
  ASSERT_EQ(ConfigChanges(before, other).size(), ConfigFields(before).size())
      << "give `other` a value of its own for every field";
  Reloader reloader = Rereading(before, {.config = other});
  ASSERT_TRUE(reloader.Reload().ok());
  for (const ConfigChange& change : ConfigChanges(reloader.running(), other)) {
    EXPECT_TRUE(change.needs_restart) << change.field;
  }
  observe::SetLogging(before.log_level, before.log_format);
}

}  // namespace
}  // namespace bif::server
