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

BIF_INLINE double Total(const DoubleLanes& v) { return (v[0] + v[2]) + (v[1] + v[3]); }

}  // namespace bif::attribution
