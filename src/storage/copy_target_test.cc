#include "src/storage/copy_target.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "src/storage/half_made.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

TEST(CopyTarget, IsMarkedUntilItIsFinished) {
  const testing::TempDir scratch;
  std::filesystem::create_directory(scratch / "source");
  std::ofstream(scratch / "source/a") << "bytes";
  std::filesystem::permissions(scratch / "source/a", std::filesystem::perms::owner_read);
  auto target = Must(CopyTarget::Create(scratch / "target/", scratch / "source", "a test"));
  EXPECT_EQ(RefuseHalfMade(target->path()).code(), absl::StatusCode::kFailedPrecondition);
  Must(target->Copy(scratch / "source/a", "deep/er/a", CancelToken()));
  EXPECT_TRUE(Must(target->Link(scratch / "source/a", "b")));
  EXPECT_EQ(target->Link(scratch / "source/a", "b").status().code(),
            absl::StatusCode::kAlreadyExists);
  Must(target->Finish());
  target.reset();
  EXPECT_TRUE(RefuseHalfMade(scratch / "target").ok());
  EXPECT_EQ(Must(ReadFile(scratch / "target/deep/er/a")), "bytes");
  struct stat info;
  ASSERT_EQ(::stat((scratch / "target/deep/er/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0400u);
}

TEST(CopyTarget, OneThatIsDroppedIsEmptyAgain) {
  const testing::TempDir scratch;
  std::filesystem::create_directory(scratch / "source");
  std::ofstream(scratch / "source/a") << "bytes";
  {
    const auto target = Must(CopyTarget::Create(scratch / "target", scratch / "source", "a test"));
    Must(target->Copy(scratch / "source/a", "deep/a", CancelToken()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "target"));
}

TEST(CopyTarget, ACancelledCopyLeavesNoFile) {
  const testing::TempDir scratch;
  std::filesystem::create_directory(scratch / "source");
  std::ofstream(scratch / "source/a") << "bytes";
  const auto target = Must(CopyTarget::Create(scratch / "target", scratch / "source", "a test"));
  CancelToken cancel;
  cancel.Cancel();
  EXPECT_EQ(target->Copy(scratch / "source/a", "a", cancel).code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(FileExists(scratch / "target/a"));
}

TEST(CopyTarget, RefusesWhatIsTakenAndWhatLiesInTheSource) {
  const testing::TempDir scratch;
  std::filesystem::create_directory(scratch / "source");
  std::ofstream(scratch / "file") << "bytes";
  std::filesystem::create_directory(scratch / "full");
  std::ofstream(scratch / "full/file") << "bytes";
  std::filesystem::create_directory_symlink(scratch / "source", scratch / "link");
  const auto code = [&](const std::string& name) {
    return CopyTarget::Create(scratch / name, scratch / "source", "a test").status().code();
  };
  EXPECT_EQ(code("file"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("full"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("source"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("source/a"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("link"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("link/a"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("missing/a"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code("source-of-another"), absl::StatusCode::kOk);
}

TEST(CopyTarget, KnowsHowMuchFits) {
  const testing::TempDir scratch;
  std::filesystem::create_directory(scratch / "source");
  const auto target = Must(CopyTarget::Create(scratch / "target", scratch / "source", "a test"));
  EXPECT_TRUE(target->HasSpaceFor(1).ok());
  EXPECT_EQ(target->HasSpaceFor(int64_t{1} << 60).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace bif::storage
