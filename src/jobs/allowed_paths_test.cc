#include "src/jobs/allowed_paths.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "src/base/status.h"
#include "tests/support/temp_dir.h"

namespace bif::jobs {
namespace {

class AllowedPathsTest : public ::testing::Test {
 protected:
  AllowedPathsTest() {
    std::filesystem::create_directories(root_ / "inside/deeper");
    std::filesystem::create_directories(root_ / "inside-not");
    for (const char* name : {"inside/a", "inside/deeper/b", "inside-not/c"})
      std::ofstream(root_ / name) << "x";
    std::filesystem::create_symlink(root_ / "inside-not/c", root_ / "inside/link-out");
    std::filesystem::create_symlink(root_ / "inside/a", root_ / "link-in");
  }
  testing::TempDir root_;
};

TEST_F(AllowedPathsTest, FilesBelowARootAreGiven) {
  const AllowedPaths paths({root_ / "inside", root_ / "missing"});
  EXPECT_TRUE(paths.Resolve(root_ / "inside/a", "path").ok());
  EXPECT_TRUE(paths.Resolve(root_ / "inside", "path").ok()) << "the root itself, for its files";
  EXPECT_TRUE(paths.Resolve(root_ / "inside/", "path").ok());
  EXPECT_TRUE(paths.Resolve(root_ / "inside/deeper/../deeper/b", "path").ok());
  EXPECT_EQ(paths.Resolve(root_ / "link-in", "path"), paths.Resolve(root_ / "inside/a", "path"));
}

TEST_F(AllowedPathsTest, WhatLeadsOutIsDenied) {
  const AllowedPaths paths({root_ / "inside"});
  for (const char* name :
       {"inside-not/c", "inside/link-out", "inside/../inside-not/c", "missing/file"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(paths.Resolve(root_ / name, "path").status())) << name;
  }
  EXPECT_TRUE(
      absl::IsPermissionDenied(AllowedPaths({}).Resolve(root_ / "inside/a", "path").status()));
}

TEST_F(AllowedPathsTest, AMissingFileIsToldOnlyBelowARoot) {
  const AllowedPaths paths({root_ / "inside"});
  EXPECT_TRUE(absl::IsNotFound(paths.Resolve(root_ / "inside/missing", "path").status()));
  EXPECT_TRUE(
      absl::IsPermissionDenied(paths.Resolve(root_ / "inside-not/missing", "path").status()));
}

TEST_F(AllowedPathsTest, RelativeAndEmptyPathsAreFieldErrors) {
  const AllowedPaths paths({root_ / "inside"});
  for (const std::string& path : {std::string(), std::string("a"), std::string("/x\0y", 4)}) {
    EXPECT_EQ(FieldPath(paths.Resolve(path, "spec.path").status()), "spec.path");
  }
}

}  // namespace
}  // namespace bif::jobs
