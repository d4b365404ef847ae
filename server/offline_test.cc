#include "server/offline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "server/config.h"
#include "tests/support/segment_writer.h"
#include "tests/support/test_directory.h"

namespace bif::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OfflineTest : public ::testing::Test {
 protected:
  OfflineTest() {
    storage::SegmentWriter(source_.store()).WriteMany(2);
    storage::BackupOptions options;
    options.directory = scratch_ / "backup";
    options.copy = true;
    Must(source_.store().Backup(options));
    source_.Close();
  }
  int Run(const std::vector<std::string>& words) {
    std::vector<const char*> argv = {"bifd"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    const auto exit_code = RunOfflineCommand(static_cast<int>(argv.size()), argv.data(), out, err);
    out_ = out.str();
    err_ = err.str();
    return exit_code.value_or(-1);
  }

  storage::TestDirectory source_;
  testing::TempDir scratch_;
  std::string out_, err_;
};

TEST_F(OfflineTest, FsckOfACleanDirectoryAndOfABackupExitsWithZero) {
  EXPECT_EQ(Run({"fsck", source_.root()}), 0) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr(" 0 damaged, 0 left over"));
  EXPECT_EQ(Run({"fsck", scratch_ / "backup"}), 0) << out_ << err_;
}

TEST_F(OfflineTest, FsckOfADamagedDirectoryNamesTheDamageAndExitsWithOne) {
  storage::FlipBit(source_.root() + "/draws/1/c0000-d00000000-00000003.draws", 80);
  EXPECT_EQ(Run({"fsck", source_.root()}), 1) << err_;
  EXPECT_THAT(out_, HasSubstr("damaged: draw 0 of chain 0 of posteriors/lasting"));
  EXPECT_THAT(out_, HasSubstr("what to do: "));
}

TEST_F(OfflineTest, WhatIsLeftOverIsToldAndNoDamage) {
  std::ofstream(source_.root() + "/tmp/half") << "written";
  EXPECT_EQ(Run({"fsck", source_.root()}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("left over: tmp/half (7 bytes)"));
}

TEST_F(OfflineTest, WhatCannotBeCheckedExitsWithTwo) {
  EXPECT_EQ(Run({"fsck", scratch_ / "missing"}), 2);
  EXPECT_THAT(err_, HasSubstr("does not exist"));
  source_.Open();
  EXPECT_EQ(Run({"fsck", source_.root()}), 2);
  EXPECT_THAT(err_, HasSubstr("in use"));
}

TEST_F(OfflineTest, RestoreMakesADirectoryThatADaemonCanOpen) {
  EXPECT_EQ(Run({"restore", scratch_ / "backup", scratch_ / "data"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("bifd --data " + (scratch_ / "data")));
  storage::StoreOptions options;
  options.root = scratch_ / "data";
  EXPECT_EQ(storage::SegmentWriter::SegmentsIn(*Must(storage::OpenStore(options))), 2u);
  EXPECT_EQ(Run({"restore", scratch_ / "backup", scratch_ / "data"}), 1);
  EXPECT_THAT(err_, HasSubstr("no empty folder"));
}

TEST_F(OfflineTest, ADamagedBackupIsRestoredOnRequestOnly) {
  storage::FlipBit(scratch_ / "backup/draws/1/c0000-d00000000-00000003.draws", 80);
  EXPECT_EQ(Run({"restore", scratch_ / "backup", scratch_ / "data"}), 1);
  EXPECT_THAT(out_, HasSubstr("draw 0 of chain 0"));
  EXPECT_THAT(err_, HasSubstr("--keep-damaged"));
  EXPECT_EQ(Run({"restore", scratch_ / "backup", scratch_ / "data", "--keep-damaged"}), 0) << err_;
}

TEST_F(OfflineTest, MistakesExitWithTwoAndHelpWithZero) {
  EXPECT_EQ(Run({"fsck"}), 2);
  EXPECT_EQ(Run({"restore", "one"}), 2);
  EXPECT_EQ(Run({"fsck", "a", "b"}), 2);
  EXPECT_EQ(Run({"fsck", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("bifd fsck"));
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(OfflineTest, OtherCommandLinesAreTheDaemons) {
  EXPECT_EQ(Run({"--data", "/d"}), -1);
  EXPECT_EQ(Run({}), -1);
  const char* const argv[] = {"bifd", "--help"};
  EXPECT_THAT(ParseCommandLine(2, argv).message, HasSubstr("bifd restore BACKUP DIRECTORY"));
}

}  // namespace
}  // namespace bif::server
