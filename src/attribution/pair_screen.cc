#include "src/attribution/pair_screen.h"

#include <algorithm>
#include <cmath>

#include "src/attribution/lanes.h"
#include "src/attribution/tile_totals.h"

// Fused multiply-adds round once where two instructions round twice, so they stay within the bound.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BIF_WITH_FMA __attribute__((target_clones("fma", "default")))
#else
#define BIF_WITH_FMA
#endif

namespace bif::attribution {
namespace {

static_assert(kTilePairs == kLanes);

constexpr double kUnitRoundoff = 0x1p-24;
constexpr double kUp = 1.001;  // more than the rounding of what is to be an upper bound
// Squares of smaller numbers vanish, and with them the variance of an exact score, which is 0 then.
constexpr float kSmallestNorm = 1e-22f;

BIF_INLINE float Sum(const Lanes& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

BIF_WITH_FMA float ShiftAndSquare(const float* numbers, int64_t count, float* shifted) {
  const float first = numbers[0];
  Lanes squares = {};
  Lanes v;
  int64_t at = 0;
  for (; at + kLanes <= count; at += kLanes) {
    Load(numbers + at, v);
    v -= first;
    Store(v, shifted + at);
    squares += v * v;
  }
  if (at < count) {
    v = Lanes{} + first;
    std::memcpy(&v, numbers + at, static_cast<size_t>(count - at) * sizeof(float));
    v -= first;
    Store(v, shifted + at);
    squares += v * v;
  }
  return Sum(squares);
}

}  // namespace

float ShiftRow(absl::Span<const float> numbers, float* shifted) {
  const float square =
      ShiftAndSquare(numbers.data(), static_cast<int64_t>(numbers.size()), shifted);
  return static_cast<float>(kUp) * std::sqrt(square) + kSmallestNorm;
}

ScreenQuery::ScreenQuery(absl::Span<const float> centred, double remainder, double scale)
    : numbers_((centred.size() + kLanes - 1) / kLanes * kLanes) {
  std::copy(centred.begin(), centred.end(), numbers_.begin());
  double square = 0;
  for (const float number : centred) square += static_cast<double>(number) * number;
  // Both sums' errors, and the roundings of what is centred, shifted, scaled and compared.
  const double additions = static_cast<double>(numbers_.size()) / kLanes + 3;
  const double relative = (2 * additions + 16) * kUnitRoundoff;
  terms_.scale = static_cast<float>(scale);
  terms_.reach =
      static_cast<float>(kUp * std::abs(scale) * (std::sqrt(square) * relative + remainder));
}

void TileTerms::SetRow(int64_t row, const ScreenTerms& terms) {
  std::fill_n(scale + row * kTileColumns, kTileColumns, terms.scale);
  std::fill_n(reach + row * kTileColumns, kTileColumns, terms.reach);
}

void TileTerms::SetColumn(int64_t column, const ScreenTerms& terms) {
  for (int64_t pair = column; pair < kTilePairs; pair += kTileColumns) {
    scale[pair] = terms.scale;
    reach[pair] = terms.reach;
  }
}

void TileBounds::SetColumn(int64_t column, float high_score, float low_score) {
  for (int64_t pair = column; pair < kTilePairs; pair += kTileColumns) {
    high[pair] = high_score;
    low[pair] = low_score;
  }
}

BIF_WITH_FMA uint32_t PassingPairs(int64_t length, const float* const x[kTileRows],
                                   const float* const y[kTileColumns], const TileTerms& rows,
                                   const TileTerms& columns, const TileBounds& bounds) {
  Lanes products;
  TileTotals(x, y, 0, length, products);

  Lanes row_scale, row_reach, scale, reach, high, low;
  Load(rows.scale, row_scale);
  Load(rows.reach, row_reach);
  Load(columns.scale, scale);
  Load(columns.reach, reach);
  Load(bounds.high, high);
  Load(bounds.low, low);
  const Lanes score = products * (row_scale * scale);
  const Lanes margin = row_reach * reach;
  // Written so that what is not a number passes.
  const LaneMask stays_out = (score + margin < high) & (score - margin > low);
  uint32_t passing = 0;
  for (int64_t pair = 0; pair < kTilePairs; ++pair)
    passing |= static_cast<uint32_t>(stays_out[pair] == 0) << pair;
  return passing;
}

}  // namespace bif::attribution
