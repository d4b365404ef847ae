#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "server/config_file.h"
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

TEST(Config, AFileGivesValuesAndTheCommandLineWins) {
  testing::TempDir scratch;
  const std::string path = scratch / "bifd.textproto";
  std::ofstream(path) << "storage { data_directory: '/from-file' allowed_roots: '/' }\n"
                         "device { threads: 3 }\n"
                         "metrics { address: 'off' }\n"
                         "log { level: 'debug' }\n";
  const CommandLine line =
      Parse({"--config", path.c_str(), "--threads=5", "--allow-root", "/usr", "/etc"});
  ASSERT_FALSE(line.exit_code.has_value()) << line.message;
  EXPECT_EQ(line.config.data_directory, "/from-file");
  EXPECT_EQ(line.config.metrics, "");
  EXPECT_EQ(line.config.threads, 5);
  EXPECT_EQ(line.config.log_level, observe::LogLevel::kDebug);
  EXPECT_THAT(line.config.allowed_roots, ElementsAre("/usr", "/etc")) << "not the file's as well";
}

TEST(Config, AMistakeInTheFileIsOneSentenceWithItsPlace) {
  testing::TempDir scratch;
  const std::string path = scratch / "bifd.textproto";
  const auto message = [&path](const char* text) {
    std::ofstream(path) << text;
    const CommandLine line = Parse({"--config", path.c_str(), "--data=/d"});
    EXPECT_EQ(line.exit_code, 2) << text;
    EXPECT_EQ(std::count(line.message.begin(), line.message.end(), '\n'), 1) << line.message;
    return line.message;
  };
  EXPECT_THAT(message("listener {\n  adress: 'x'\n}\n"), HasSubstr(path + ":2:"));
  EXPECT_THAT(message("listener {\n  adress: 'x'\n}\n"), HasSubstr("adress"));
  EXPECT_THAT(message("listener {\n  address: 'x'\n}\n"),
              HasSubstr(path + ":2:3: listener.address: 'x' is not host:port"));
  EXPECT_THAT(message("device { threads: 4097 }"), HasSubstr("from 0 to 4096"));
  EXPECT_THAT(message("drain { seconds: nan }"), HasSubstr("drain.seconds"));
  EXPECT_THAT(message("log { level: 'loud' }"), HasSubstr("debug, info, warning or error"));
  EXPECT_THAT(message("storage { allowed_roots: '/no/such/folder' }"),
              HasSubstr("is not a folder"));
  EXPECT_EQ(Parse({"--config=/no/such/file", "--data=/d"}).exit_code, 2);
  EXPECT_THAT(Parse({"--config=/no/such/file", "--data=/d"}).message, HasSubstr("/no/such/file"));
}

// Paths of all scalar fields below a message, such as "listener.address".
void AddFields(const google::protobuf::Descriptor& type, const std::string& prefix,
               std::set<std::string>& fields) {
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    if (field.message_type() == nullptr) {
      fields.insert(prefix + field.name());
    } else {
      AddFields(*field.message_type(), prefix + field.name() + ".", fields);
    }
  }
}

std::set<std::string> AllFields() {
  std::set<std::string> fields;
  AddFields(*config::v1::DaemonConfig::descriptor(), "", fields);
  return fields;
}

TEST(SampleConfig, IsTheDefaultsFieldForField) {
  const CommandLine line = Parse({"--config", BIF_SAMPLE_CONFIG, "--data=/d"});
  ASSERT_FALSE(line.exit_code.has_value()) << line.message;
  const DaemonConfig defaults{.data_directory = "/d"};
  EXPECT_EQ(ConfigFields(line.config), ConfigFields(defaults));
  EXPECT_EQ(line.config, defaults);
}

TEST(SampleConfig, NamesEveryField) {
  const absl::StatusOr<ConfigFile> sample = ConfigFile::Read(BIF_SAMPLE_CONFIG);
  ASSERT_TRUE(sample.ok()) << sample.status();
  for (const std::string& field : AllFields()) {
    // An empty list has a place in the file, but no values.
    EXPECT_NE(sample->Where(field), BIF_SAMPLE_CONFIG) << field << " is not in the sample";
  }
}

TEST(SampleConfig, HasACommentAboveEveryField) {
  std::ifstream sample(BIF_SAMPLE_CONFIG);
  std::string line, before;
  int fields = 0;
  while (std::getline(sample, line)) {
    if (line.find(": ") != std::string::npos && line.find('#') == std::string::npos) {
      ++fields;
      EXPECT_THAT(before, HasSubstr("# ")) << line;
    }
    before = line;
  }
  EXPECT_EQ(fields, AllFields().size());
}

TEST(Config, EveryFieldOfTheFileIsASettingAndTheOtherWayRound) {
  std::set<std::string> settings;
  for (const auto& [field, value] : ConfigFields({})) settings.insert(field);
  EXPECT_EQ(settings, AllFields()) << "a field without a line in config.cc would be ignored";
}

TEST(Config, HelpAndVersionEndWellAndMistakesDoNot) {
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
  EXPECT_THAT(Parse({"--help"}).message, HasSubstr("--allow-root"));
  EXPECT_EQ(Parse({"--version"}).exit_code, 0);
  EXPECT_EQ(Parse({}).exit_code, 2);
  EXPECT_THAT(Parse({}).message, HasSubstr("--data"));
  EXPECT_THAT(Parse({"--help"}).message, HasSubstr("127.0.0.1:7311"));  // defaults are shown
  EXPECT_EQ(Parse({"--data=/d", "--data=/e"}).exit_code, 2);
  EXPECT_EQ(Parse({"--data=/d", "surplus"}).exit_code, 2);
  EXPECT_EQ(Parse({"--data=/d", "--no-such-flag"}).exit_code, 2);
  EXPECT_EQ(Parse({"--data=/d", "--threads=-1"}).exit_code, 2);
  EXPECT_EQ(Parse({"--data=/d", "--allow-root=/no/such/folder"}).exit_code, 2);
}

TEST(Config, AddressesThatAreNotLoopbackAreRefusedWithASentence) {
  const CommandLine line = Parse({"--data=/d", "--listen=0.0.0.0:7311"});
  EXPECT_EQ(line.exit_code, 2);
  EXPECT_THAT(line.message, HasSubstr("not a loopback address"));
  EXPECT_EQ(Parse({"--data=/d", "--metrics=192.168.1.1:9090"}).exit_code, 2);
  const std::vector<const char*> tls = {"--data=/d", "--listen=0.0.0.0:7311",
                                        "--tls-certificate=/c", "--tls-key=/k"};
  EXPECT_FALSE(Parse(tls).exit_code.has_value()) << Parse(tls).message;
  EXPECT_EQ(Parse({"--data=/d", "--tls-certificate=/c"}).exit_code, 2);
  EXPECT_THAT(Parse({"--data=/d", "--tls-client-ca=/a"}).message,
              HasSubstr("certificate and its key"));
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
