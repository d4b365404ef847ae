// Random choices that can be made again: a run prints its seed, and
//
//   BIF_CRASH_SEED=1234 ctest -R kill_test
//
// repeats the work, the kinds of interruption and their times. What the machine makes of these
// times it decides itself, so a replay meets the same states often, and not always.
#pragma once

#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace bif::testing {

// Of the environment, else a new one; printed the first time.
uint64_t SeedOfRun();

// A number from the environment, for runs by hand that are longer than those of continuous
// integration.
int FromEnvironment(const char* variable, int otherwise);

// One stream of choices; streams with different numbers do not depend on each other. Confined to a
// thread.
class Choices {
 public:
  Choices(uint64_t seed, uint64_t stream);
  int Between(int least, int most);  // both included
  absl::Duration UpTo(absl::Duration most);
  uint64_t Next() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace bif::testing
