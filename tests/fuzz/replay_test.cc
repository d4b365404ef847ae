// Every file of a target's corpus, given to the target once. No fuzzer is needed, so what it has
// found stays found in every build.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "src/base/files.h"
#include "tests/fuzz/fuzz.h"

namespace bif::fuzz {
namespace {

void Try(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

std::vector<std::string> Corpus() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(BIF_CORPUS))
    paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(Corpus, HoldsNothingThatTheTargetFailsOn) {
  const std::vector<std::string> paths = Corpus();
  EXPECT_GE(paths.size(), 2u) << BIF_CORPUS;
  for (const std::string& path : paths) {
    const auto bytes = ReadFile(path);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    std::printf("%s\n", path.c_str());  // the last one is at fault
    std::fflush(stdout);
    Try(*bytes);
  }
}

// No less than the fuzzer does in its first second: every file cut, and with bytes flipped.
TEST(Corpus, CutAndFlippedIsRefusedOrKeepsItsPromisesToo) {
  for (const std::string& path : Corpus()) {
    const auto bytes = ReadFile(path);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const size_t step = std::max<size_t>(1, bytes->size() / 32);
    for (size_t at = 0; at < bytes->size(); at += step) {
      SCOPED_TRACE(path);
      Try(bytes->substr(0, at));
      std::string flipped = *bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
      Try(flipped);
    }
  }
}

// The negative control: a promise that is not kept ends the process, with the sentence.
TEST(CorpusDeathTest, APromiseThatIsNotKeptIsSeen) {
  EXPECT_DEATH(Require(false, "two is three"), "does not hold: two is three");
  EXPECT_DEATH(RequireRefusal(absl::InternalError("oh"), absl::StatusCode::kInvalidArgument),
               "the promised one: INTERNAL: oh");
}

}  // namespace
}  // namespace bif::fuzz
