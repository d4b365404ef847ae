// One flipped bit anywhere in a data directory never becomes a wrong number, and never makes
// anything disappear without a word: what is read is right, or DATA_LOSS that names the object, or
// the directory is refused with the file's name.
//
// One flip again: BIF_SEED=17 flipped_bit_test.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "tests/faults/scenario_run.h"
#include "tests/faults/store_check.h"
#include "tests/faults/store_content.h"
#include "tests/support/must.h"
#include "tests/support/test_directory.h"

namespace bif::faults {
namespace {

constexpr uint64_t kFlips = 140;
// Every kind of file with bytes that matter. (OPTIONS and IDENTITY are for people.)
const char* const kKinds[] = {".sst", ".log", "MANIFEST-", "CURRENT", ".draws", ".state", "blobs/"};

void Flip(const std::string& path, uint64_t bit) {
  std::filesystem::permissions(path, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::string bytes = Must(ReadFile(path));
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  std::ofstream(path, std::ios::binary) << bytes;
}

class FlippedBit : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { run_ = new ScenarioRun({.plan = "small"}); }
  static void TearDownTestSuite() { delete run_; }

  // Those that hold anything: a log that has just been begun is empty.
  static std::vector<std::string> Files(const std::string& kind) {
    std::vector<std::string> names;
    for (const std::string& name : Must(ListFilesRecursively(run_->data_directory()))) {
      if (!absl::StrContains(name, kind)) continue;
      if (Must(FileSize(run_->data_directory() + "/" + name)) > 0) names.push_back(name);
    }
    return names;
  }

  // What is found in a copy with one bit flipped.
  static Findings CheckWithFlip(const std::string& file, uint64_t bit) {
    const std::string copy = run_->FreshCopy();
    std::filesystem::copy(run_->data_directory(), copy, std::filesystem::copy_options::recursive);
    Flip(copy + "/" + file, bit);
    return OpenAndCheck(copy, run_->history());
  }

  static ScenarioRun* run_;
};
ScenarioRun* FlippedBit::run_ = nullptr;

TEST_F(FlippedBit, IsNeverASilentlyWrongNumber) {
  const char* one = std::getenv("BIF_SEED");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 0;
  int noticed = 0;
  for (uint64_t seed = first; seed < (one != nullptr ? first + 1 : kFlips); ++seed) {
    std::mt19937_64 random(seed);
    const std::vector<std::string> files = Files(kKinds[seed % std::size(kKinds)]);
    ASSERT_FALSE(files.empty());
    const std::string& file = files[random() % files.size()];
    const int64_t bytes = Must(FileSize(run_->data_directory() + "/" + file));
    const uint64_t bit = random() % (8 * static_cast<uint64_t>(bytes));
    const Findings findings = CheckWithFlip(file, bit);
    EXPECT_EQ(findings.violations, std::vector<std::string>())
        << "again: BIF_SEED=" << seed << ": bit " << bit << " of " << file << "\n"
        << findings.ToString();
    noticed += !findings.Clean();
  }
  std::printf("%d flips were noticed\n", noticed);
  // The rest hit padding, or what compaction no longer needs.
  if (one == nullptr) {
    EXPECT_GT(noticed, static_cast<int>(kFlips) * 3 / 4);
  }
}

// Length and type of a record: what RocksDB alone takes for the end of the log.
TEST_F(FlippedBit, InARecordsHeaderDropsNoRecord) {
  for (const char* kind : {".log", "MANIFEST-"}) {
    for (const std::string& file : Files(kind)) {
      const std::string log = Must(ReadFile(run_->data_directory() + "/" + file));
      for (size_t at = 0, records = 0; at + 7 <= log.size() && records < 8; ++records) {
        for (uint64_t bit = 8 * (at + 4); bit < 8 * (at + 7); ++bit) {
          const Findings findings = CheckWithFlip(file, bit);
          EXPECT_EQ(findings.violations, std::vector<std::string>())
              << "bit " << bit << " of " << file;
          EXPECT_TRUE(absl::IsDataLoss(findings.refused)) << findings.ToString();
        }
        at += 7 + static_cast<uint8_t>(log[at + 4]) + 256u * static_cast<uint8_t>(log[at + 5]);
      }
    }
  }
}

// The negative control: numbers that were changed behind the checksums' back are noticed.
TEST_F(FlippedBit, ANumberThatNoChecksumGuardsIsFoundOut) {
  const std::string copy = run_->FreshCopy();
  std::filesystem::copy(run_->data_directory(), copy, std::filesystem::copy_options::recursive);
  {
    storage::StoreOptions options;
    options.root = copy;
    const auto store = Must(storage::OpenStore(options));
    const PosteriorShape shape = ShapeOf(1);
    std::vector<float> traces = Traces(1, 0, shape.slots, 0, shape.draws);
    traces[17] = std::nextafter(traces[17], 2.0f);
    Must(store->traces().Write({1, kLosses, 1}, 0, 0, shape.slots, 0, shape.draws, traces));
  }
  const Findings findings = OpenAndCheck(copy, run_->history());
  ASSERT_EQ(findings.violations.size(), 1u) << findings.ToString();
  EXPECT_TRUE(absl::StrContains(findings.violations[0], "wrong trace")) << findings.ToString();
}

}  // namespace
}  // namespace bif::faults
