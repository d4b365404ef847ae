#include "src/base/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace bif {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "files_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    ASSERT_TRUE(MakeDirectories(root_ + "/tmp").ok());
  }
  void TearDown() override { ASSERT_TRUE(RemoveTree(root_).ok()); }
  std::string root_;
};

TEST_F(Files, DurableWriteNeverReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(WriteFileDurably(root_ + "/tmp", root_ + "/a", "first").ok());
  EXPECT_EQ(WriteFileDurably(root_ + "/tmp", root_ + "/a", "second").code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*ReadFile(root_ + "/a"), "first");
  EXPECT_EQ(*ListFilesRecursively(root_), std::vector<std::string>{"a"});
}

TEST_F(Files, MissingFileIsNotFoundAndNamed) {
  const absl::Status status = ReadFile(root_ + "/none").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("/none"), std::string::npos);
  EXPECT_TRUE(RemoveFile(root_ + "/none").ok());
}

TEST_F(Files, MappedFileHoldsTheBytes) {
  ASSERT_TRUE(WriteFileDurably(root_ + "/tmp", root_ + "/a", "bytes").ok());
  auto file = MappedFile::Open(root_ + "/a");
  ASSERT_TRUE(file.ok());
  MappedFile moved = *std::move(file);
  EXPECT_EQ(moved.bytes(), "bytes");
  EXPECT_FALSE(MappedFile::Open(root_).ok());
}

TEST_F(Files, EmptyFileMapsToNoBytes) {
  ASSERT_TRUE(WriteFileDurably(root_ + "/tmp", root_ + "/empty", "").ok());
  EXPECT_EQ(MappedFile::Open(root_ + "/empty")->bytes(), "");
}

TEST_F(Files, DirectoriesAreMadeDurablyHoweverManyAreMissing) {
  EXPECT_TRUE(MakeDirectoriesDurably(root_ + "/a/b/c").ok());
  EXPECT_TRUE(MakeDirectoriesDurably(root_ + "/a/b/c").ok()) << "and if they are there";
  EXPECT_TRUE(FileExists(root_ + "/a/b/c"));
  ASSERT_TRUE(WriteFileDurably(root_ + "/tmp", root_ + "/file", "x").ok());
  EXPECT_FALSE(MakeDirectoriesDurably(root_ + "/file/d").ok());
}

}  // namespace
}  // namespace bif
