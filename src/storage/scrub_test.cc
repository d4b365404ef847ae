#include "src/storage/scrub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/segment_writer.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kFooterBytes = 53;  // of RocksDB's tables

class ScrubTest : public ::testing::Test {
 protected:
  ScrubTest() { SegmentWriter(directory_.store()).WriteMany(4); }

  // What is found, each as "object: problem".
  std::vector<std::string> Scrub() {
    std::vector<std::string> found;
    CheckOptions options;
    options.on_damage = [&](const Damage& damage) {
      EXPECT_FALSE(damage.advice.empty());
      found.push_back(absl::StrCat(damage.object, ": ", damage.problem));
    };
    summary_ = Must(directory_.store().Scrub(options));
    EXPECT_EQ(summary_.damaged, static_cast<int64_t>(found.size()));
    return found;
  }

  TestDirectory directory_;
  CheckSummary summary_;
};

TEST_F(ScrubTest, FindsNothingInACleanStore) {
  EXPECT_THAT(Scrub(), IsEmpty());
  EXPECT_GT(summary_.objects, 40);
  EXPECT_GT(summary_.bytes, directory_.DiskBytes("draws"));
  directory_.Reopen();
  EXPECT_THAT(Scrub(), IsEmpty());
}

TEST_F(ScrubTest, NamesTheDrawWhoseBitWasFlipped) {
  const std::string path = directory_.root() + "/draws/1/c0001-d00000003-00000006.draws";
  const int64_t frame = 64 + (Must(FileSize(path)) / 3 - 64) / 64 * 64;
  FlipBit(path, frame + 70);  // the payload of the second
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("draw 4 of chain 1 of posteriors/lasting: " + path)));
  FlipBit(path, frame + 70);
  EXPECT_THAT(Scrub(), IsEmpty());
  FlipBit(path, frame + 4);  // its header
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("draw 4 of chain 1 of posteriors/lasting: " + path)));
  FlipBit(path, frame + 4);
  FlipBit(path, frame - 1);  // zeros before it
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("a file of draws of posteriors/lasting: " + path)));
}

TEST_F(ScrubTest, NamesTheStateTheProgramAndWhatIsMissing) {
  const std::string state = directory_.root() + "/draws/1/c0000-s000000000006.state";
  FlipBit(state, 100);
  EXPECT_THAT(Scrub(),
              ElementsAre(HasSubstr("the state of chain 0 of posteriors/lasting after step 6")));
  FlipBit(state, 100);
  const auto program =
      Must(directory_.store().catalog().Get<pb::ProgramRecord>(ProgramKey("program-2")));
  const std::string blob = directory_.store().blobs().PathOf(program.blob());
  FlipBit(blob, 3);
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("the file of programs/program-2")));
  std::filesystem::remove(blob);
  std::filesystem::remove(state);
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("of chain 0 of posteriors/lasting after step 6"),
                                   HasSubstr("the file of programs/program-2")));
}

// One bit in each kind of block: data, filter, index, properties, footer.
TEST_F(ScrubTest, NamesTheTableWhoseBitWasFlippedWhereverItIs) {
  Scrub();  // brings everything into tables
  directory_.Reopen();
  const std::vector<std::string> tables = directory_.Files("db", ".sst");
  ASSERT_GE(tables.size(), 3u) << "catalog, samples and traces";
  for (const std::string& table : tables) {
    const int64_t bytes = Must(FileSize(table));
    const std::string name = std::filesystem::path(table).filename();
    for (int64_t at = 0; at < bytes - kFooterBytes; at += std::max<int64_t>(1, bytes / 40)) {
      FlipBit(table, at);
      EXPECT_THAT(Scrub(), Contains(HasSubstr(absl::StrCat("the table db/", name)))) << at;
      FlipBit(table, at);
    }
    for (int64_t at = bytes - kFooterBytes; at < bytes; ++at) {
      FlipBit(table, at);
      // The footer holds zeros that nobody reads.
      if (const auto found = Scrub(); !found.empty()) {
        EXPECT_THAT(found, Contains(HasSubstr(absl::StrCat("the table db/", name)))) << at;
      }
      FlipBit(table, at);
    }
  }
  EXPECT_THAT(Scrub(), IsEmpty());
}

TEST_F(ScrubTest, TheTableSaysWhoseItIs) {
  Scrub();
  directory_.Reopen();
  std::vector<std::string> found;
  for (const std::string& table : directory_.Files("db", ".sst")) {
    FlipBit(table, 10);
    for (const std::string& text : Scrub()) found.push_back(text);
    FlipBit(table, 10);
  }
  EXPECT_THAT(found, Contains(HasSubstr("holds traces of posteriors/lasting")));
  EXPECT_THAT(found, Contains(HasSubstr("holds samples of datasets/train")));
  EXPECT_THAT(found, Contains(HasSubstr("holds catalog records")));
}

TEST_F(ScrubTest, WhatIsDeletedMeanwhileIsNoDamage) {
  bool deleted = false;
  std::vector<std::string> found;
  CheckOptions options;
  options.on_damage = [&](const Damage& damage) { found.push_back(damage.object); };
  options.on_progress = [&](const CheckSummary& summary) {
    if (deleted || summary.objects < 20) return;
    deleted = true;
    WriteSet writes;
    writes.Delete(PosteriorKey("lasting"));
    writes.DeletePrefix(DrawPrefix(kWrittenPosterior));
    writes.Delete(ProgramKey("program-1"));
    Must(directory_.store().catalog().Commit(writes));
    Must(directory_.store().draws().DeletePosterior(kWrittenPosterior));
    Must(directory_.store().traces().DeletePosterior(kWrittenPosterior));
  };
  Must(directory_.store().Scrub(options));
  EXPECT_TRUE(deleted);
  EXPECT_THAT(found, IsEmpty());
}

TEST_F(ScrubTest, OneAtATimeAndItCanBeCancelled) {
  CheckOptions options;
  options.on_progress = [&](const CheckSummary&) {
    EXPECT_EQ(directory_.store().Scrub({}).status().code(), absl::StatusCode::kFailedPrecondition);
    options.cancel.Cancel();
  };
  EXPECT_EQ(directory_.store().Scrub(options).status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Scrub(), IsEmpty());
}

}  // namespace
}  // namespace bif::storage
