#include "src/engine/gaussian_noise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "src/engine/kernel_clones.h"
#include "src/engine/philox_words.h"
#include "src/engine/vector_math.h"

namespace bif::engine {
namespace {

// The radius sqrt(-2 ln u) for u = (k + 1/2) 2^-31, k = the upper 31 bits: at most 6.66, and 0
// where u rounds to 1.
BIF_ALWAYS_INLINE float Radius(uint32_t word) {
  const float u = (static_cast<float>(static_cast<int32_t>(word >> 1)) + 0.5f) * 0x1p-31f;
  return std::sqrt(-2.0f * NaturalLog(u));
}

struct Pair {
  float first, second;
};

// radius times cosine and sine of a uniform angle. The lower 30 bits give t in [-pi/4, pi/4], where
// the Taylor series to t^8 and t^9 are exact to a float's rounding; the upper two bits choose one
// of four quarter turns.
BIF_ALWAYS_INLINE Pair OnCircle(uint32_t word, float radius) {
  constexpr float kUnit = 0x1p-30f * 1.57079632679489662f;
  const float t = static_cast<float>(static_cast<int32_t>(word & 0x3FFFFFFF) - 0x20000000) * kUnit;
  const float z = t * t;
  const float sine =
      t + t * (z * (((z * (1.0f / 362880) - 1.0f / 5040) * z + 1.0f / 120) * z - 1.0f / 6));
  const float cosine = 1.0f + z * (((z * (1.0f / 40320) - 1.0f / 720) * z + 1.0f / 24) * z - 0.5f);
  // Quarter turns of (cosine, sine): (c, s), (-s, c), (-c, -s), (s, -c). Selected on bits, without
  // a branch.
  const uint32_t s = std::bit_cast<uint32_t>(sine);
  const uint32_t c = std::bit_cast<uint32_t>(cosine);
  const uint32_t odd = 0u - ((word >> 30) & 1u);
  const uint32_t half_turn = word & 0x80000000u;
  const uint32_t difference = (s ^ c) & odd;
  const float x = std::bit_cast<float>((c ^ difference) ^ half_turn ^ (odd & 0x80000000u));
  const float y = std::bit_cast<float>((s ^ difference) ^ half_turn);
  return {radius * x, radius * y};
}

// Four numbers from each of `count` blocks, whose words lie as FillPhiloxWords leaves them.
BIF_KERNEL_CLONES void NumbersOf(const uint32_t* __restrict words, int64_t count,
                                 float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) {
    const Pair a = OnCircle(words[count + i], Radius(words[i]));
    const Pair b = OnCircle(words[3 * count + i], Radius(words[2 * count + i]));
    out[4 * i] = a.first;
    out[4 * i + 1] = a.second;
    out[4 * i + 2] = b.first;
    out[4 * i + 3] = b.second;
  }
}

constexpr int64_t kBlocks = 256;  // made at once: 4 KiB of words, and of numbers
static_assert(kBlocks % kPhiloxBatch == 0);

}  // namespace

void FillGaussianNoise(const RandomBlocks& stream, int64_t first_position, absl::Span<float> out) {
  std::array<uint32_t, 4 * kBlocks> words;
  std::array<float, 4 * kBlocks> numbers;
  const auto size = static_cast<int64_t>(out.size());
  int64_t done = 0;
  while (done < size) {
    // A piece may start and end within a block of four.
    const int64_t position = first_position + done;
    const int64_t skip = position % 4;
    const int64_t wanted = (skip + size - done + 3) / 4;
    const int64_t blocks =
        std::min(kBlocks, (wanted + kPhiloxBatch - 1) / kPhiloxBatch * kPhiloxBatch);
    FillPhiloxWords(stream, static_cast<uint32_t>(position / 4), blocks, words.data());
    const int64_t take = std::min(4 * blocks - skip, size - done);
    if (take == 4 * blocks) {
      NumbersOf(words.data(), blocks, out.data() + done);
    } else {
      NumbersOf(words.data(), blocks, numbers.data());
      std::copy_n(numbers.begin() + skip, take, out.begin() + done);
    }
    done += take;
  }
}

}  // namespace bif::engine
