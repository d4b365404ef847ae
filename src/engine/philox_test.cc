#include "src/engine/philox.h"

#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <tuple>

#include "src/engine/philox_words.h"

namespace bif::engine {
namespace {

std::array<uint32_t, 4> Ours(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  const PhiloxCounter r = Philox4x32({c[0], c[1], c[2], c[3]}, {k[0], k[1]});
  return {r.c0, r.c1, r.c2, r.c3};
}

using Words = std::array<uint32_t, 4>;

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(Ours({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Ours({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Ours({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EqualsTheLibraryOnManyCounters) {
  uint64_t state = 1;
  auto next = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state >> 32);
  };
  for (int i = 0; i < 1000; ++i) {
    const Words c = {next(), next(), next(), next()};
    const std::array<uint32_t, 2> k = {next(), next()};
    const philox4x32_ctr_t counter = {{c[0], c[1], c[2], c[3]}};
    const philox4x32_key_t key = {{k[0], k[1]}};
    const philox4x32_ctr_t want = philox4x32(counter, key);
    EXPECT_EQ(Ours(c, k), (Words{want.v[0], want.v[1], want.v[2], want.v[3]}));
  }
}

TEST(RandomBlocks, EverySeedChainStepAndStreamHasItsOwnNumbers) {
  std::set<std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>> seen;
  size_t made = 0;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 63})
    for (uint32_t chain : {0u, 1u, 1023u})
      for (uint64_t step : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 55})
        for (RandomStream stream : {RandomStream::kNoise, RandomStream::kBatchOrder})
          for (uint32_t block : {0u, 1u, 7u}) {
            const PhiloxCounter r = RandomBlocks(seed, chain, step, stream)(block);
            seen.insert({r.c0, r.c1, r.c2, r.c3});
            ++made;
          }
  EXPECT_EQ(seen.size(), made);
}

TEST(PhiloxWords, EqualBlocksOneByOne) {
  const RandomBlocks stream(uint64_t{5} << 32 | 9, 3, 1234567, RandomStream::kNoise);
  for (uint32_t first : {0u, 5u, ~0u - 20}) {  // the last one wraps
    constexpr int64_t kCount = 3 * kPhiloxBatch;
    std::array<uint32_t, 4 * kCount> words;
    FillPhiloxWords(stream, first, kCount, words.data());
    for (uint32_t i = 0; i < kCount; ++i) {
      const PhiloxCounter want = stream(first + i);
      EXPECT_EQ(words[i], want.c0);
      EXPECT_EQ(words[kCount + i], want.c1);
      EXPECT_EQ(words[2 * kCount + i], want.c2);
      EXPECT_EQ(words[3 * kCount + i], want.c3);
    }
  }
}

}  // namespace
}  // namespace bif::engine
