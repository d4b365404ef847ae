#include "src/attribution/row_kernel.h"

#include <algorithm>

#include "src/attribution/lanes.h"
#include "src/attribution/tile_totals.h"

namespace bif::attribution {
namespace {

// Keeps the last `n` lanes, n = 0..7: load the eight masks at kTailMask + n.
constexpr int32_t kTailMask[16] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};

BIF_INLINE void StoreTotals(const Lanes (&v)[kLanes], float* totals) {
  Lanes sums;
  LaneTotals(v, sums);
  Store(sums, totals);
}

// packed = from - mean, filled with zeros to whole vectors; its lane sums, and those of its
// squares.
BIF_INLINE void CentreBlock(const float* from, int64_t size, float mean, float* packed, Lanes& sum,
                            Lanes& square) {
  const int64_t rest = size % kLanes;
  const int64_t whole = size - rest;
  Lanes block_sum = {};
  Lanes block_square = {};
  Lanes v;
  for (int64_t i = 0; i < whole; i += kLanes) {
    Load(from + i, v);
    v -= mean;
    Store(v, packed + i);
    block_sum += v;
    block_square += v * v;
  }
  if (rest > 0) {
    if (whole > 0) {
      // The last eight numbers, those already counted masked away.
      Load(from + size - kLanes, v);
      v -= mean;
      LaneMask keep;
      Load(kTailMask + rest, keep);
      v = (Lanes)((LaneMask)v & keep);
    } else {
      v = Lanes{};
      for (int64_t i = 0; i < rest; ++i) v[i] = from[i] - mean;
    }
    Store(v, packed + whole);
    block_sum += v;
    block_square += v * v;
  }
  sum = block_sum;
  square = block_square;
}

}  // namespace

void PrefetchRow(const float* row, int64_t size) {
  constexpr int64_t kCacheLine = 64 / sizeof(float);
  for (int64_t i = 0; i < size; i += kCacheLine) __builtin_prefetch(row + i);
}

BIF_MULTIVERSION double SumInDouble(const float* values, int64_t size) {
  // A loop that the compiler turns into vectors: it converts portable ones of floats badly.
  constexpr int kSums = 8;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= size; i += kSums) {
    for (int k = 0; k < kSums; ++k) sums[k] += static_cast<double>(values[i + k]);
  }
  for (int half = kSums / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) sums[k] += sums[half + k];
  }
  for (; i < size; ++i) sums[0] += static_cast<double>(values[i]);
  return sums[0];
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
  const int64_t blocks = static_cast<int64_t>(plan.blocks.size());
  for (int64_t first = 0; first < blocks; first += kLanes) {
    Lanes sum[kLanes] = {};
    Lanes square[kLanes] = {};
    const int64_t count = std::min(kLanes, blocks - first);
    for (int64_t b = 0; b < count; ++b) {
      const Block& block = plan.blocks[first + b];
      CentreBlock(series + block.begin, block.size, means[block.group], packed + block.packed,
                  sum[b], square[b]);
    }
    StoreTotals(sum, sums + first);
    StoreTotals(square, squares + first);
  }
}

BIF_MULTIVERSION void BlockProducts(const BlockPlan& plan, const float* x, const float* y,
                                    float* products) {
  const int64_t blocks = static_cast<int64_t>(plan.blocks.size());
  int64_t at = 0;
  for (int64_t first = 0; first < blocks; first += kLanes) {
    Lanes product[kLanes] = {};
    const int64_t count = std::min(kLanes, blocks - first);
    for (int64_t b = 0; b < count; ++b) {
      const int64_t next = first + b + 1;
      const int64_t end = next < blocks ? plan.blocks[next].packed : plan.packed_length;
      Lanes sum = {};
      for (; at < end; at += kLanes) {
        Lanes u;
        Lanes v;
        Load(x + at, u);
        Load(y + at, v);
        sum += u * v;
      }
      product[b] = sum;
    }
    StoreTotals(product, products + first);
  }
}

BIF_MULTIVERSION void TileProducts(const BlockPlan& plan, const float* const x[kTileRows],
                                   const float* const y[kTileColumns], float* products) {
  const int64_t blocks = static_cast<int64_t>(plan.blocks.size());
  const int64_t padded_blocks = plan.padded_blocks();
  int64_t at = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t end = b + 1 < blocks ? plan.blocks[b + 1].packed : plan.packed_length;
    Lanes sums;
    TileTotals(x, y, at, end, sums);
    at = end;
    float totals[kTileRows * kTileColumns];
    Store(sums, totals);
    for (int64_t pair = 0; pair < kTileRows * kTileColumns; ++pair)
      products[pair * padded_blocks + b] = totals[pair];
  }
  for (int64_t pair = 0; pair < kTileRows * kTileColumns; ++pair)
    std::fill(products + pair * padded_blocks + blocks, products + (pair + 1) * padded_blocks,
              0.0f);
}

}  // namespace bif::attribution
