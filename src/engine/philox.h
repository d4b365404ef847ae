// Philox4x32-10, a counter-based random generator: a keyed bijection of 128-bit counters. Nothing
// has to be stored to repeat or resume a stream of numbers.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). The
// integers equal those of the library Random123.
#pragma once

#include <cstdint>

namespace bif::engine {

struct PhiloxKey {
  uint32_t k0 = 0, k1 = 0;
};
struct PhiloxCounter {
  uint32_t c0 = 0, c1 = 0, c2 = 0, c3 = 0;
};

inline constexpr int kPhiloxRounds = 10;
inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57;

// The key of the next round: the constants are the golden ratio and sqrt(3) - 1.
constexpr PhiloxKey NextPhiloxKey(PhiloxKey k) { return {k.k0 + 0x9E3779B9, k.k1 + 0xBB67AE85}; }

constexpr PhiloxCounter Philox4x32(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < kPhiloxRounds; ++round, k = NextPhiloxKey(k)) {
    const uint64_t p0 = uint64_t{kPhiloxMultiplier0} * c.c0;
    const uint64_t p1 = uint64_t{kPhiloxMultiplier1} * c.c2;
    c = {static_cast<uint32_t>(p1 >> 32) ^ c.c1 ^ k.k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c.c3 ^ k.k1, static_cast<uint32_t>(p0)};
  }
  return c;
}

// What the numbers are for. Streams never share a counter.
enum class RandomStream : uint8_t { kNoise = 0, kBatchOrder = 1 };

// The stream of one (seed, chain, step): block i is four words. A step counts below 2^56.
//   key     = (low half of the seed, chain)
//   counter = (i, low half of the step, stream in the top byte over the rest of the step, high half
//   of the seed)
struct RandomBlocks {
  PhiloxKey key;
  PhiloxCounter base;

  RandomBlocks(uint64_t seed, uint32_t chain, uint64_t step, RandomStream stream)
      : key{static_cast<uint32_t>(seed), chain},
        base{0, static_cast<uint32_t>(step),
             (static_cast<uint32_t>(step >> 32) & 0xFFFFFF) | static_cast<uint32_t>(stream) << 24,
             static_cast<uint32_t>(seed >> 32)} {}

  PhiloxCounter operator()(uint32_t block) const {
    return Philox4x32({block, base.c1, base.c2, base.c3}, key);
  }
};

}  // namespace bif::engine
