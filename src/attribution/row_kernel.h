// The inner loops of scoring: passes over one row of numbers, vectorised, chosen for the processor
// at run time.
//
// Sums within a block are fp32 in eight lanes, of centred numbers; whoever calls adds blocks up in
// double. The order of additions is fixed, so results do not depend on the processor.
//
// Arrays over blocks have plan.padded_blocks() numbers; those that stand for no block are set to 0.
#pragma once

#include <cstdint>

#include "src/attribution/layout.h"

namespace bif::attribution {

// Starts to bring a row from memory to the cache, while another one is worked on.
void PrefetchRow(const float* row, int64_t size);

// Sum of `size` numbers, in double.
double SumInDouble(const float* values, int64_t size);

// averages[t] = mean over chains of row[c * draws + t], less the mean of the whole row, in double
// and rounded once: the rounding is relative to the centred number.
void AverageChains(const float* row, int64_t chains, int64_t draws, float* averages);

// packed = series - means[group], block after block, each filled with zeros to a multiple of
// kLanes; sums[b] and squares[b] are the block's sums of the centred numbers and of their squares.
void CentreAndPack(const BlockPlan& plan, const float* series, const float* means, float* packed,
                   float* sums, float* squares);

// products[b] = sum over block b of x * y, both packed.
void BlockProducts(const BlockPlan& plan, const float* x, const float* y, float* products);

// The same for every pair of a few x and a few y, which are read once for all of them:
// products[(i * kTileColumns + j) * padded_blocks + b], the same bits as BlockProducts gives.
inline constexpr int64_t kTileRows = 4;
inline constexpr int64_t kTileColumns = 2;
void TileProducts(const BlockPlan& plan, const float* const x[kTileRows],
                  const float* const y[kTileColumns], float* products);

}  // namespace bif::attribution
