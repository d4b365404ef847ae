#include "tests/crash/replay.h"

#include <cstdio>
#include <cstdlib>

namespace bif::testing {

uint64_t SeedOfRun() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("BIF_CRASH_SEED");
    // 32 bits: short enough to be copied by hand.
    const uint64_t chosen =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    std::printf("BIF_CRASH_SEED=%llu repeats this run\n", static_cast<unsigned long long>(chosen));
    std::fflush(stdout);
    return chosen;
  }();
  return seed;
}

int FromEnvironment(const char* variable, int otherwise) {
  const char* given = std::getenv(variable);
  return given != nullptr ? std::atoi(given) : otherwise;
}

Choices::Choices(uint64_t seed, uint64_t stream) {
  std::seed_seq words{seed, seed >> 32, stream, stream >> 32};
  engine_.seed(words);
}

// A modulus, because the standard's distributions differ between libraries; the bias is nothing
// here.
int Choices::Between(int least, int most) {
  return least + static_cast<int>(engine_() % static_cast<uint64_t>(most - least + 1));
}

absl::Duration Choices::UpTo(absl::Duration most) { return Between(0, 1000) * (most / 1000); }

}  // namespace bif::testing
