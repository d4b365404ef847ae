#include "src/storage/fsck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "tests/support/segment_writer.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class FsckTest : public ::testing::Test {
 protected:
  FsckTest() { SegmentWriter(directory_.store()).WriteMany(3); }

  FsckReport Fsck() {
    damaged_.clear();
    leftovers_.clear();
    FsckOptions options;
    options.check.on_damage = [&](const Damage& damage) {
      EXPECT_FALSE(damage.advice.empty());
      damaged_.push_back(absl::StrCat(damage.object, ": ", damage.problem));
    };
    options.on_leftover = [&](const std::string& object, int64_t) { leftovers_.push_back(object); };
    const FsckReport report = Must(CheckDirectory(directory_.root(), options));
    EXPECT_EQ(report.clean(), damaged_.empty());
    EXPECT_EQ(report.leftovers, static_cast<int64_t>(leftovers_.size()));
    return report;
  }
  std::map<std::string, std::string> AllFiles() {
    std::map<std::string, std::string> files;
    for (const std::string& path : directory_.Files("", "")) files[path] = Must(ReadFile(path));
    return files;
  }

  TestDirectory directory_;
  std::vector<std::string> damaged_;
  std::vector<std::string> leftovers_;
};

TEST_F(FsckTest, ACleanDirectoryHasNothingToTellAndStaysAsItIs) {
  directory_.Close();
  const auto before = AllFiles();
  const FsckReport report = Fsck();
  EXPECT_TRUE(report.clean());
  EXPECT_GT(report.summary.objects, 30);
  EXPECT_THAT(leftovers_, IsEmpty());
  EXPECT_TRUE(AllFiles() == before);
}

TEST_F(FsckTest, ReadsWhatLiesInTheLog) {
  directory_.Crash();
  EXPECT_TRUE(Fsck().clean());
  EXPECT_GT(Fsck().summary.objects, 30);
  directory_.Open();
}

TEST_F(FsckTest, DamageIsNamed) {
  directory_.Close();
  const std::string draws = directory_.root() + "/draws/1/c0000-d00000000-00000003.draws";
  FlipBit(draws, 80);
  Fsck();
  EXPECT_THAT(damaged_,
              ElementsAre(HasSubstr("draw 0 of chain 0 of posteriors/lasting: " + draws)));
  FlipBit(draws, 80);
  Fsck();
  EXPECT_THAT(damaged_, IsEmpty());
}

TEST_F(FsckTest, ADatabaseThatDoesNotOpenIsDamage) {
  directory_.Close();
  for (const std::string& path : directory_.Files("db", "")) {
    if (absl::StrContains(path, "/MANIFEST-")) FlipBit(path, 50);
  }
  Fsck();
  EXPECT_THAT(damaged_, ElementsAre(HasSubstr("is damaged")));
}

TEST_F(FsckTest, ARecordThatCannotBeReadIsDamage) {
  WriteSet writes;
  writes.PutBytes(PosteriorKey("unreadable"), "\xff\xff");
  Must(directory_.store().catalog().Commit(writes));
  directory_.Close();
  Fsck();
  EXPECT_THAT(damaged_, ElementsAre(HasSubstr("catalog record 04"),
                                    HasSubstr("the catalog's list of files")));
}

TEST_F(FsckTest, LeftoversAreNoDamage) {
  Store& store = directory_.store();
  const auto blob = Must(store.blobs().NewBlob());
  Must(blob->Append("stray"));
  const std::string stray = Must(blob->Finish());
  EncodedDraw draw;
  draw.payload = "draw";
  Must(store.draws().WriteDraws(77, 0, 0, {draw}));
  const std::vector<float> loss = {0.5f};
  Must(store.traces().Write({78, 1, 1}, 0, 0, 1, 0, 1, loss));
  SampleBatch batch;
  batch.rows = 1;
  batch.columns.push_back({{"x", DType::kUint8, {}}, std::vector<std::byte>(1)});
  WriteSet writes;
  Must(store.samples().Write(79, 0, batch, {"a"}, false, writes));
  Must(store.catalog().Commit(writes));
  std::ofstream(directory_.root() + "/tmp/half") << "written";
  directory_.Close();
  EXPECT_TRUE(Fsck().clean());
  EXPECT_THAT(
      leftovers_,
      UnorderedElementsAre("tmp/half", "blobs/" + stray, "draws/77/c0000-d00000000-00000001.draws",
                           "traces of no posterior: 78", "samples of no dataset: 79"));
  directory_.Reopen();
  directory_.Close();
  Fsck();
  EXPECT_THAT(leftovers_, IsEmpty()) << "the start has swept them";
}

TEST_F(FsckTest, RefusesWhatItCannotCheck) {
  const absl::Status in_use = CheckDirectory(directory_.root(), {}).status();
  EXPECT_EQ(Reason(in_use), "DATA_DIRECTORY_IN_USE");
  const testing::TempDir empty;
  EXPECT_EQ(CheckDirectory(empty.path(), {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(CheckDirectory(empty / "missing", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(std::filesystem::is_empty(empty.path()));
  pb::StoreHeader header;
  header.set_format_version(kFormatVersion + 1);
  WriteSet writes;
  writes.Put(HeaderKey(), header);
  Must(directory_.store().catalog().Commit(writes));
  directory_.Close();
  EXPECT_EQ(Reason(CheckDirectory(directory_.root(), {}).status()), "STORAGE_FORMAT_TOO_NEW");
}

}  // namespace
}  // namespace bif::storage
