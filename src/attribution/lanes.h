// Vectors for the inner loops of scoring: GCC's and Clang's portable ones, eight floats or four
// doubles wide. A function marked BIF_MULTIVERSION is compiled for AVX2 too, and the loader picks.
//
// Files that use this are compiled with -ffp-contract=off: then every version gives the same bits.
#pragma once

#include <cstdint>
#include <cstring>

// By feature, not by processor: GCC matches "arch=haswell" with that processor alone and none after
// it. The loader picks before a sanitizer is ready, so sanitized builds have one version.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BIF_MULTIVERSION __attribute__((target_clones("avx2", "default")))
#else
#define BIF_MULTIVERSION
#endif

#define BIF_INLINE static inline __attribute__((always_inline))

namespace bif::attribution {

typedef float Lanes __attribute__((vector_size(32)));
typedef int32_t LaneMask __attribute__((vector_size(32)));
typedef double DoubleLanes __attribute__((vector_size(32)));

// Vectors go by reference: by value their calling convention differs between the versions.
template <typename Vector, typename Number>
BIF_INLINE void Load(const Number* from, Vector& vector) {
  std::memcpy(&vector, from, sizeof vector);
}
template <typename Vector, typename Number>
BIF_INLINE void Store(const Vector& vector, Number* to) {
  std::memcpy(to, &vector, sizeof vector);
}

// totals[i] = sum of v[i]'s lanes, for eight vectors at once: pairs of vectors are interleaved and
// added until one is left. A sum of its own for each would cost more than the loops that fill them.
BIF_INLINE void LaneTotals(const Lanes (&v)[8], Lanes& totals) {
  Lanes pairs[4];
  for (int i = 0; i < 4; ++i) {
    const Lanes &a = v[2 * i], &b = v[2 * i + 1];
    pairs[i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13) +
               __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  }
  Lanes fours[2];
  for (int i = 0; i < 2; ++i) {
    const Lanes &a = pairs[2 * i], &b = pairs[2 * i + 1];
    fours[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  totals = Lanes(__builtin_shufflevector(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
                 __builtin_shufflevector(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15));
}

BIF_INLINE double Total(const DoubleLanes& v) { return (v[0] + v[2]) + (v[1] + v[3]); }

}  // namespace bif::attribution
