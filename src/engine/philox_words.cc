#include "src/engine/philox_words.h"

#include "src/engine/kernel_clones.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bif::engine {
namespace {

void Portable(const RandomBlocks& stream, uint32_t first_block, int64_t count, uint32_t* words) {
  for (int64_t i = 0; i < count; ++i) {
    const PhiloxCounter block = stream(first_block + static_cast<uint32_t>(i));
    words[i] = block.c0;
    words[count + i] = block.c1;
    words[2 * count + i] = block.c2;
    words[3 * count + i] = block.c3;
  }
}

#if defined(__x86_64__)
// A round multiplies 32-bit words to 64 bits. The compiler does not find the instruction for that
// (mul_epu32), so it is written out: each word lies in the lower half of a 64-bit lane; what
// collects in the upper half is never read.

__attribute__((target("avx512f"))) void Avx512(const RandomBlocks& stream, uint32_t first_block,
                                               int64_t count, uint32_t* words) {
  constexpr int kLanes = 8, kVectors = 2;  // two vectors in flight hide the latency of a product
  const __m512i m0 = _mm512_set1_epi64(kPhiloxMultiplier0);
  const __m512i m1 = _mm512_set1_epi64(kPhiloxMultiplier1);
  const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
  for (int64_t i = 0; i < count; i += kLanes * kVectors) {
    __m512i a[kVectors], b[kVectors], c[kVectors], d[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      a[v] = _mm512_add_epi64(_mm512_set1_epi64(int64_t{first_block} + i + kLanes * v), lane);
      b[v] = _mm512_set1_epi64(stream.base.c1);
      c[v] = _mm512_set1_epi64(stream.base.c2);
      d[v] = _mm512_set1_epi64(stream.base.c3);
    }
    PhiloxKey key = stream.key;
#pragma GCC unroll 10
    for (int round = 0; round < kPhiloxRounds; ++round, key = NextPhiloxKey(key)) {
      const __m512i k0 = _mm512_set1_epi64(key.k0), k1 = _mm512_set1_epi64(key.k1);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const __m512i p0 = _mm512_mul_epu32(a[v], m0), p1 = _mm512_mul_epu32(c[v], m1);
        a[v] = _mm512_xor_epi64(_mm512_xor_epi64(_mm512_srli_epi64(p1, 32), b[v]), k0);
        c[v] = _mm512_xor_epi64(_mm512_xor_epi64(_mm512_srli_epi64(p0, 32), d[v]), k1);
        b[v] = p1;
        d[v] = p0;
      }
    }
    const auto store = [count](uint32_t * to, int word, __m512i lanes)
        __attribute__((target("avx512f"))) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + word * count),
                          _mm512_cvtepi64_epi32(lanes));
    };
    for (int v = 0; v < kVectors; ++v) {
      uint32_t* to = words + i + kLanes * v;
      store(to, 0, a[v]);
      store(to, 1, b[v]);
      store(to, 2, c[v]);
      store(to, 3, d[v]);
    }
  }
}

__attribute__((target("avx2"))) void Avx2(const RandomBlocks& stream, uint32_t first_block,
                                          int64_t count, uint32_t* words) {
  constexpr int kLanes = 4, kVectors = 2;
  const __m256i m0 = _mm256_set1_epi64x(kPhiloxMultiplier0);
  const __m256i m1 = _mm256_set1_epi64x(kPhiloxMultiplier1);
  const __m256i lane = _mm256_set_epi64x(3, 2, 1, 0);
  const __m256i lower_halves = _mm256_set_epi32(0, 0, 0, 0, 6, 4, 2, 0);
  for (int64_t i = 0; i < count; i += kLanes * kVectors) {
    __m256i a[kVectors], b[kVectors], c[kVectors], d[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      a[v] = _mm256_add_epi64(_mm256_set1_epi64x(int64_t{first_block} + i + kLanes * v), lane);
      b[v] = _mm256_set1_epi64x(stream.base.c1);
      c[v] = _mm256_set1_epi64x(stream.base.c2);
      d[v] = _mm256_set1_epi64x(stream.base.c3);
    }
    PhiloxKey key = stream.key;
#pragma GCC unroll 10
    for (int round = 0; round < kPhiloxRounds; ++round, key = NextPhiloxKey(key)) {
      const __m256i k0 = _mm256_set1_epi64x(key.k0), k1 = _mm256_set1_epi64x(key.k1);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        const __m256i p0 = _mm256_mul_epu32(a[v], m0), p1 = _mm256_mul_epu32(c[v], m1);
        a[v] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), b[v]), k0);
        c[v] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), d[v]), k1);
        b[v] = p1;
        d[v] = p0;
      }
    }
    const auto store = [ count, lower_halves ](uint32_t * to, int word, __m256i lanes)
        __attribute__((target("avx2"))) {
      const __m256i packed = _mm256_permutevar8x32_epi32(lanes, lower_halves);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + word * count),
                       _mm256_castsi256_si128(packed));
    };
    for (int v = 0; v < kVectors; ++v) {
      uint32_t* to = words + i + kLanes * v;
      store(to, 0, a[v]);
      store(to, 1, b[v]);
      store(to, 2, c[v]);
      store(to, 3, d[v]);
    }
  }
}
#endif

using Fill = void (*)(const RandomBlocks&, uint32_t, int64_t, uint32_t*);

Fill BestFill() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return Avx512;
  if (__builtin_cpu_supports("avx2")) return Avx2;
#endif
  return Portable;
}

}  // namespace

void FillPhiloxWords(const RandomBlocks& stream, uint32_t first_block, int64_t count,
                     uint32_t* words) {
  static const Fill fill = BestFill();
  fill(stream, first_block, count, words);
}

}  // namespace bif::engine
