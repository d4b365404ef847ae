// Which pairs of rows and queries cannot enter a ranking, found by one product a pair.
//
// An exact score takes centred rows, and sums over blocks in double. Nearly all pairs rank far from
// both ends, and for them a plain fp32 product with a bound on what separates it from the exact
// score is enough. A pair that passes is scored exactly; one that does not pass could not have been
// kept. So rankings are the same with and without the screen.
//
// A covariance is linear in the row, and a centred query z has products only with what differs from
// draw to draw: cov = x.z / divisor, whatever constant is taken off x. So rows need no centring,
// only a constant near them: their first number. What then separates the product from the exact
// score:
//   * Rounding. An fp32 sum of n products in eight lanes is off by at most (n/8 + 3) u sum|x z|, u
//   =
//     2^-24, and sum|x z| <= |x||z| (Higham, Accuracy and Stability of Numerical Algorithms,
//     section 3.1). The exact score's own sums are no longer than that.
//   * z is centred to rounding only. With S its sum over a group of n draws, the exact score takes
//     off sum_g Sx Sz / n, which is at most |x| sqrt(sum_g Sz^2 / n).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/attribution/row_kernel.h"

namespace bif::attribution {

// What stands for a row on one side, for a query on the other.
struct ScreenTerms {
  float scale = 0;  // product * both scales = the score
  float reach = 0;  // a product of both: how far the exact score may be from that
};

// `numbers` less the first of them, filled with zeros to a multiple of kLanes, into `shifted`;
// gives an upper bound of its norm that is never 0.
float ShiftRow(absl::Span<const float> numbers, float* shifted);

// A query's side. `centred`: as long as a row; `remainder`: sqrt(sum_g Sz^2 / n). `scale` is
// negative where the estimator is negated.
class ScreenQuery {
 public:
  ScreenQuery(absl::Span<const float> centred, double remainder, double scale);
  const float* numbers() const { return numbers_.data(); }
  const ScreenTerms& terms() const { return terms_; }

 private:
  std::vector<float> numbers_;  // filled with zeros to a multiple of kLanes
  ScreenTerms terms_;
};

inline constexpr int64_t kTilePairs = kTileRows * kTileColumns;

// The terms of a tile's rows, or columns, laid out by pair: row * kTileColumns + column.
struct TileTerms {
  float scale[kTilePairs] = {};
  float reach[kTilePairs] = {};

  void SetRow(int64_t row, const ScreenTerms& terms);
  void SetColumn(int64_t column, const ScreenTerms& terms);
};

// Scores that would be kept: `high` or more, `low` or less; by pair.
struct TileBounds {
  float high[kTilePairs];
  float low[kTilePairs];

  void SetColumn(int64_t column, float high_score, float low_score);
};

// Bit p is set if pair p may be kept. `length`: of rows and queries, a multiple of kLanes. A
// product that is not finite passes.
uint32_t PassingPairs(int64_t length, const float* const x[kTileRows],
                      const float* const y[kTileColumns], const TileTerms& rows,
                      const TileTerms& columns, const TileBounds& bounds);

}  // namespace bif::attribution
