#include "server/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace bif::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConfigFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<ConfigFile> Read(const std::string& text) {
    std::ofstream(path_) << text;
    return ConfigFile::Read(path_);
  }

  testing::TempDir scratch_;
  const std::string path_ = scratch_ / "bifd.textproto";
};

TEST_F(ConfigFileTest, ValuesAreTextAndWhatIsNotSetHasNone) {
  const absl::StatusOr<ConfigFile> file = Read(
      "device { threads: 3 }\n"
      "drain { seconds: 1.5 }\n"
      "storage { data_directory: \"/a b\" allowed_roots: [\"/x\", \"/y\"] }\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->Values("device.threads"), ElementsAre("3"));
  EXPECT_THAT(file->Values("drain.seconds"), ElementsAre("1.5"));
  EXPECT_THAT(file->Values("storage.data_directory"), ElementsAre("/a b"));
  EXPECT_THAT(file->Values("storage.allowed_roots"), ElementsAre("/x", "/y"));
  EXPECT_THAT(file->Values("device.name"), IsEmpty());
  EXPECT_THAT(file->Values("log.level"), IsEmpty());
  EXPECT_THAT(file->Values("no.such.field"), IsEmpty());
}

TEST_F(ConfigFileTest, PlacesCountFromOne) {
  const absl::StatusOr<ConfigFile> file = Read(
      "# a comment\n"
      "device {\n"
      "  threads: 3\n"
      "}\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Where("device.threads"), path_ + ":3:3");
  EXPECT_EQ(file->Where("device"), path_ + ":2:1");
  EXPECT_EQ(file->Where("log.level"), path_);
}

TEST_F(ConfigFileTest, UnknownFieldsAndBadValuesAreErrorsWithTheirPlace) {
  const absl::Status unknown = Read("device {\n  thread: 3\n}\n").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(unknown.message(), HasSubstr(path_ + ":2:"));
  EXPECT_THAT(unknown.message(), HasSubstr("thread"));

  const absl::Status not_a_number = Read("\n\n  device { threads: \"many\" }").status();
  EXPECT_EQ(not_a_number.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(not_a_number.message(), HasSubstr(path_ + ":3:"));

  for (const char* text : {"device {", "device }", "threads", "device { threads: 99999999999 }",
                           "[no.extension]: 1", "device { threads: 1 threads: 2 }"}) {
    const absl::Status status = Read(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr(path_)) << text;
  }
}

TEST_F(ConfigFileTest, AFileThatIsNotThereIsNamed) {
  const absl::Status status = ConfigFile::Read(scratch_ / "missing").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("missing"));
}

}  // namespace
}  // namespace bif::server
