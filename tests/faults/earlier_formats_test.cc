// Data directories that each version of the format has left (tests/golden/storage_formats): they
// open, every number in them is right, and they are raised to the present version.
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "tests/faults/store_check.h"
#include "tests/support/must.h"
#include "tests/support/temp_dir.h"

namespace bif::faults {
namespace {

std::string Golden(uint32_t version) { return absl::StrCat(BIF_GOLDEN_FORMATS, "/", version); }

History HistoryOf(uint32_t version) {
  return ParseHistory(Must(ReadFile(Golden(version) + "/acknowledged")));
}

// A copy, since opening changes it.
std::string CopyOf(uint32_t version, const testing::TempDir& scratch) {
  const std::string copy = scratch / absl::StrCat(version);
  std::filesystem::copy(Golden(version) + "/data", copy, std::filesystem::copy_options::recursive);
  return copy;
}

storage::pb::StoreHeader HeaderOf(storage::Store& store) {
  return Must(store.catalog().Get<storage::pb::StoreHeader>(storage::HeaderKey()));
}

TEST(EarlierFormats, OfEveryVersionOpenAndEveryNumberIsRight) {
  const testing::TempDir scratch;
  for (uint32_t version = 1; version <= storage::kFormatVersion; ++version) {
    SCOPED_TRACE(absl::StrCat("version ", version));
    const std::string copy = CopyOf(version, scratch);
    const History history = HistoryOf(version);
    EXPECT_GT(history.AllAcknowledged(), 15);
    // Twice: as that version left it, and as this build left it after that.
    for (int opened = 0; opened < 2; ++opened) {
      const Findings findings = OpenAndCheck(copy, history);
      EXPECT_TRUE(findings.Clean()) << findings.ToString();
    }
    storage::StoreOptions options;
    options.root = copy;
    EXPECT_EQ(HeaderOf(*Must(storage::OpenStore(options))).format_version(),
              storage::kFormatVersion);
  }
}

TEST(EarlierFormats, AVersionOfTheFutureIsRefusedInWords) {
  const testing::TempDir scratch;
  storage::StoreOptions options;
  options.root = CopyOf(storage::kFormatVersion, scratch);
  {
    const auto store = Must(storage::OpenStore(options));
    storage::pb::StoreHeader header = HeaderOf(*store);
    header.set_format_version(storage::kFormatVersion + 1);
    storage::WriteSet writes;
    writes.Put(storage::HeaderKey(), header);
    Must(store->catalog().Commit(writes));
  }
  const absl::Status refused = storage::OpenStore(options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "use a newer build")) << refused;
}

// The negative control: a directory that lacks one of its files is not taken for whole.
TEST(EarlierFormats, AFileThatIsMissingIsFoundOut) {
  const testing::TempDir scratch;
  const std::string copy = CopyOf(1, scratch);
  std::filesystem::remove(*std::filesystem::directory_iterator(copy + "/draws/1"));
  EXPECT_FALSE(OpenAndCheck(copy, HistoryOf(1)).Clean());
}

}  // namespace
}  // namespace bif::faults
