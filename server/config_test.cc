#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "server/server.h"
#include "tests/support/temp_dir.h"

namespace bif::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

CommandLine Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "bifd");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Config, FlagsFillTheConfig) {
  const CommandLine line =
      Parse({"--data", "/d", "--listen=127.0.0.1:0", "--metrics=off", "--threads=2",
             "--allow-root=/", "--allow-root=/usr", "--memory-mib=100", "--log-format=json"});
  ASSERT_FALSE(line.exit_code.has_value()) << line.message;
  EXPECT_EQ(line.config.data_directory, "/d");
  EXPECT_EQ(line.config.listen, "127.0.0.1:0");
  EXPECT_EQ(line.config.metrics, "");
  EXPECT_EQ(line.config.threads, 2);
  EXPECT_THAT(line.config.allowed_roots, ElementsAre("/", "/usr"));
  EXPECT_EQ(line.config.memory_mib, 100);
  EXPECT_EQ(line.config.log_format, observe::LogFormat::kJson);
}

TEST(Config, AFileGivesFlagsAndTheCommandLineWins) {
  testing::TempDir scratch;
  const std::string path = scratch / "bifd.toml";
  std::ofstream(path) << "data = \"/from-file\"\nthreads = 3\nlog-level = \"debug\"\n";
  const CommandLine line = Parse({"--config", path.c_str(), "--threads=5"});
  ASSERT_FALSE(line.exit_code.has_value()) << line.message;
  EXPECT_EQ(line.config.data_directory, "/from-file");
  EXPECT_EQ(line.config.threads, 5);
  EXPECT_EQ(line.config.log_level, observe::LogLevel::kDebug);
}

TEST(Config, HelpAndVersionEndWellAndMistakesDoNot) {
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
  EXPECT_THAT(Parse({"--help"}).message, HasSubstr("--allow-root"));
  EXPECT_EQ(Parse({"--version"}).exit_code, 0);
  EXPECT_EQ(Parse({}).exit_code, 2);
  EXPECT_THAT(Parse({}).message, HasSubstr("--data"));
  EXPECT_EQ(Parse({"--data=/d", "--no-such-flag"}).exit_code, 2);
  EXPECT_EQ(Parse({"--data=/d", "--threads=-1"}).exit_code, 2);
  EXPECT_EQ(Parse({"--data=/d", "--allow-root=/no/such/folder"}).exit_code, 2);
}

TEST(Config, AddressesThatAreNotLoopbackAreRefusedWithASentence) {
  const CommandLine line = Parse({"--data=/d", "--listen=0.0.0.0:7311"});
  EXPECT_EQ(line.exit_code, 2);
  EXPECT_THAT(line.message, HasSubstr("not a loopback address"));
  EXPECT_EQ(Parse({"--data=/d", "--metrics=192.168.1.1:9090"}).exit_code, 2);
}

TEST(LoopbackAddress, HostAndPortAreTakenApart) {
  EXPECT_EQ(ParseLoopbackAddress("127.0.0.1:7311")->port, 7311);
  EXPECT_EQ(ParseLoopbackAddress("[::1]:0")->host, "[::1]");
  EXPECT_EQ(ParseLoopbackAddress("localhost:80")->host, "localhost");
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                              ":80", "127.0.0.1:-1", "127.0.0.1:1 ", "example.com:80", "::1:80"}) {
    EXPECT_EQ(ParseLoopbackAddress(address).status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

}  // namespace
}  // namespace bif::server
