#include "tests/faults/disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bif::faults {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Event Open(int fd, const std::string& path, uint8_t flags = kMade) {
  return {EventKind::kOpen, flags, fd, 0, path, ""};
}
Event Write(int fd, uint64_t offset, const std::string& data) {
  return {EventKind::kWrite, 0, fd, offset, "", data};
}
Event Sync(int fd) { return {EventKind::kSync, 0, fd, 0, "", ""}; }
Event Names(EventKind kind, const std::string& path, const std::string& second = "") {
  return {kind, 0, -1, 0, path, second};
}

// A disk with the synced folder /w/d, open as 1.
Disk WithFolder() {
  Disk disk("/w");
  disk.Apply(Names(EventKind::kMakeDirectory, "/w/d"));
  disk.Apply(Open(9, "/w", 0));
  disk.Apply(Sync(9));
  disk.Apply(Open(1, "/w/d", 0));
  return disk;
}

TEST(Disk, WhatWasNotSyncedIsGone) {
  Disk disk = WithFolder();
  disk.Apply(Open(3, "/w/d/file"));
  disk.Apply(Write(3, 0, "synced"));
  disk.Apply(Sync(3));
  disk.Apply(Write(3, 6, " and not"));
  disk.Apply(Sync(1));
  EXPECT_EQ(disk.Contents("/w/d/file"), "synced and not");
  disk.LosePower(Survival::kNothing, 0);
  EXPECT_EQ(disk.Contents("/w/d/file"), "synced");
}

TEST(Disk, ANameIsGoneUntilItsFolderWasSynced) {
  Disk disk = WithFolder();
  disk.Apply(Open(3, "/w/d/file"));
  disk.Apply(Write(3, 0, "synced"));
  disk.Apply(Sync(3));
  disk.LosePower(Survival::kNothing, 0);
  EXPECT_EQ(disk.Contents("/w/d/file"), std::nullopt);
}

TEST(Disk, AFolderWhoseOwnNameWasNotSyncedTakesItsFilesAlong) {
  Disk disk("/w");
  disk.Apply(Names(EventKind::kMakeDirectory, "/w/d"));
  disk.Apply(Open(1, "/w/d", 0));
  disk.Apply(Open(3, "/w/d/file"));
  disk.Apply(Sync(3));
  disk.Apply(Sync(1));
  disk.LosePower(Survival::kNothing, 0);
  EXPECT_THAT(disk.Files("d"), ElementsAre());
}

TEST(Disk, ARenameThatWasNotSyncedLeavesTheOldName) {
  Disk disk = WithFolder();
  disk.Apply(Open(3, "/w/d/old"));
  disk.Apply(Write(3, 0, "x"));
  disk.Apply(Sync(3));
  disk.Apply(Sync(1));
  disk.Apply(Names(EventKind::kRename, "/w/d/old", "/w/d/new"));
  EXPECT_THAT(disk.Files("d"), ElementsAre(Pair("new", "x")));
  disk.LosePower(Survival::kNothing, 0);
  EXPECT_THAT(disk.Files("d"), ElementsAre(Pair("old", "x")));
}

TEST(Disk, ByChanceABeginningSurvives) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Disk disk = WithFolder();
    disk.Apply(Open(3, "/w/d/file"));
    disk.Apply(Sync(1));
    disk.Apply(Write(3, 0, "ab"));
    disk.Apply(Write(3, 2, "cd"));
    disk.LosePower(Survival::kByChance, seed);
    seen.insert(*disk.Contents("/w/d/file"));
  }
  EXPECT_THAT(seen, ElementsAre("", "a", "ab", "abc", "abcd"));
}

TEST(Disk, AfterAFailedSyncTheNextOneDoesNotHelp) {
  Disk disk = WithFolder();
  disk.Apply(Open(3, "/w/d/file"));
  disk.Apply(Sync(1));
  disk.Apply(Write(3, 0, "lost"));
  disk.Apply({EventKind::kFailedSync, 0, 3, 0, "", ""});
  disk.Apply(Sync(3));
  EXPECT_EQ(disk.Contents("/w/d/file"), "lost") << "programs still see it";
  disk.LosePower(Survival::kNothing, 0);
  EXPECT_EQ(disk.Contents("/w/d/file"), "");
}

TEST(Disk, AJournalThatMissedACallIsNotBelieved) {
  Disk disk("/w");
  EXPECT_THROW(disk.Apply(Write(3, 0, "x")), std::runtime_error);
  EXPECT_THROW(disk.Apply(Open(3, "/w/never made", 0)), std::runtime_error);
  EXPECT_THROW(disk.Apply(Names(EventKind::kRename, "/w/a", "/w/b")), std::runtime_error);
}

}  // namespace
}  // namespace bif::faults
