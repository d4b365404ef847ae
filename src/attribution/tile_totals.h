// The inner loop of a tile of rows and columns: of its exact products block by block
// (row_kernel.cc) and of the screen's (pair_screen.cc). Who includes it decides how it rounds: with
// or without fused multiply-adds.
#pragma once

#include <cstdint>

#include "src/attribution/lanes.h"
#include "src/attribution/row_kernel.h"

namespace bif::attribution {

// totals[row * kTileColumns + column] = sum over [begin, end) of x[row] * y[column]; both lengths
// are multiples of kLanes.
BIF_INLINE void TileTotals(const float* const x[kTileRows], const float* const y[kTileColumns],
                           int64_t begin, int64_t end, Lanes& totals) {
  // Named sums, so that they stay in registers: eight of them, and six for what is loaded.
  static_assert(kTileRows == 4 && kTileColumns == 2);
  Lanes s00 = {}, s01 = {}, s10 = {}, s11 = {}, s20 = {}, s21 = {}, s30 = {}, s31 = {};
  for (int64_t at = begin; at < end; at += kLanes) {
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
  LaneTotals({s00, s01, s10, s11, s20, s21, s30, s31}, totals);
}

}  // namespace bif::attribution
