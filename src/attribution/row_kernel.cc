#include "src/attribution/row_kernel.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

// Two versions of each loop, picked when the program is loaded. The pick runs before a sanitizer is
// ready, so sanitized builds have one version.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BIF_MULTIVERSION __attribute__((target_clones("arch=haswell", "default")))
#else
#define BIF_MULTIVERSION
#endif

#define BIF_INLINE static inline __attribute__((always_inline))

namespace bif::attribution {
namespace {

typedef float Lanes __attribute__((vector_size(32)));
typedef int32_t LaneMask __attribute__((vector_size(32)));
typedef float HalfLanes __attribute__((vector_size(16)));
typedef double DoubleLanes __attribute__((vector_size(32)));

// Keeps the last `n` lanes, n = 0..7: load the eight masks at kTailMask + n.
constexpr int32_t kTailMask[16] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};

BIF_INLINE void Load(const float* from, Lanes& lanes) { std::memcpy(&lanes, from, sizeof lanes); }
BIF_INLINE void Store(const Lanes& lanes, float* to) { std::memcpy(to, &lanes, sizeof lanes); }

BIF_INLINE float Total(const Lanes& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

}  // namespace

BIF_MULTIVERSION double SumInDouble(const float* values, int64_t size) {
  DoubleLanes even = {};
  DoubleLanes odd = {};
  int64_t i = 0;
  for (; i + 8 <= size; i += 8) {
    HalfLanes low;
    HalfLanes high;
    std::memcpy(&low, values + i, sizeof low);
    std::memcpy(&high, values + i + 4, sizeof high);
    even += __builtin_convertvector(low, DoubleLanes);
    odd += __builtin_convertvector(high, DoubleLanes);
  }
  even += odd;
  double sum = (even[0] + even[2]) + (even[1] + even[3]);
  for (; i < size; ++i) sum += static_cast<double>(values[i]);
  return sum;
}

void AverageChains(const float* row, int64_t chains, int64_t draws, float* averages) {
  const double mean = SumInDouble(row, chains * draws) / static_cast<double>(chains * draws);
  for (int64_t t = 0; t < draws; ++t) {
    double sum = 0;
    for (int64_t c = 0; c < chains; ++c) sum += static_cast<double>(row[c * draws + t]);
    averages[t] = static_cast<float>(sum / static_cast<double>(chains) - mean);
  }
}

BIF_MULTIVERSION void CentreAndPack(const BlockPlan& plan, const float* series, const float* means,
                                    float* packed, float* sums, float* squares) {
  const Block* block = plan.blocks.data();
  for (const Block* end = block + plan.blocks.size(); block != end; ++block) {
    const float mean = means[block->group];
    const float* from = series + block->begin;
    float* to = packed + block->packed;
    Lanes sum = {};
    Lanes square = {};
    const int64_t rest = block->size % kLanes;
    const int64_t whole = block->size - rest;
    for (int64_t i = 0; i < whole; i += kLanes) {
      Lanes v;
      Load(from + i, v);
      v -= mean;
      Store(v, to + i);
      sum += v;
      square += v * v;
    }
    if (rest > 0) {
      Lanes v = {};
      if (whole > 0) {
        // The last eight numbers, those already counted masked away.
        Load(from + block->size - kLanes, v);
        v -= mean;
        LaneMask keep;
        std::memcpy(&keep, kTailMask + rest, sizeof keep);
        v = (Lanes)((LaneMask)v & keep);
      } else {
        for (int64_t i = 0; i < rest; ++i) v[i] = from[i] - mean;
      }
      Store(v, to + whole);
      sum += v;
      square += v * v;
    }
    *sums++ = Total(sum);
    *squares++ = Total(square);
  }
}

BIF_MULTIVERSION void BlockProducts(const BlockPlan& plan, const float* x, const float* y,
                                    float* products) {
  const int64_t blocks = static_cast<int64_t>(plan.blocks.size());
  int64_t at = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t end = b + 1 < blocks ? plan.blocks[b + 1].packed : plan.packed_length;
    Lanes sum = {};
    for (; at < end; at += kLanes) {
      Lanes u;
      Lanes v;
      Load(x + at, u);
      Load(y + at, v);
      sum += u * v;
    }
    products[b] = Total(sum);
  }
}

BIF_MULTIVERSION void TileProducts(const BlockPlan& plan, const float* const x[kTileRows],
                                   const float* const y[kTileColumns], float* products) {
  // Named sums, so that they stay in registers: eight of them, and six for what is loaded.
  static_assert(kTileRows == 4 && kTileColumns == 2);
  const int64_t blocks = static_cast<int64_t>(plan.blocks.size());
  int64_t at = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t end = b + 1 < blocks ? plan.blocks[b + 1].packed : plan.packed_length;
    Lanes s00 = {}, s01 = {}, s10 = {}, s11 = {}, s20 = {}, s21 = {}, s30 = {}, s31 = {};
    for (; at < end; at += kLanes) {
      Lanes u, v, w;
      Load(y[0] + at, v);
      Load(y[1] + at, w);
      Load(x[0] + at, u);
      s00 += u * v;
      s01 += u * w;
      Load(x[1] + at, u);
      s10 += u * v;
      s11 += u * w;
      Load(x[2] + at, u);
      s20 += u * v;
      s21 += u * w;
      Load(x[3] + at, u);
      s30 += u * v;
      s31 += u * w;
    }
    float* to = products + b;
    for (const Lanes* sum : {&s00, &s01, &s10, &s11, &s20, &s21, &s30, &s31}) {
      *to = Total(*sum);
      to += blocks;
    }
  }
}

}  // namespace bif::attribution
