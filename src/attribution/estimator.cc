#include "src/attribution/estimator.h"

#include <algorithm>
#include <array>
#include <limits>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "src/attribution/row_kernel.h"

namespace bif::attribution {

absl::StatusOr<Scorer> Scorer::Create(const TraceLayout& layout, Estimator estimator,
                                      Centring centring, absl::Span<const float> queries,
                                      bool standard_errors) {
  auto pairs = PairScorer::Create(layout, estimator, centring, standard_errors);
  if (!pairs.ok()) return pairs.status();
  if (queries.size() % static_cast<size_t>(layout.values()) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("query traces have ", queries.size(),
                                                   " numbers, which is no multiple of ",
                                                   layout.values(), " draws"));
  }
  Scorer scorer(*std::move(pairs));
  const int64_t count = static_cast<int64_t>(queries.size()) / layout.values();
  for (int64_t j = 0; j < count; ++j) {
    scorer.queries_.push_back(scorer.pairs_.NewTrace());
    scorer.pairs_.Load(queries.data() + j * layout.values(), scorer.queries_.back());
    scorer.screens_.push_back(
        scorer.pairs_.ScreenOf(queries.data() + j * layout.values(), scorer.queries_.back()));
  }
  return scorer;
}

void Scorer::Score(absl::Span<const float> rows, absl::Span<ScoreValue> scores) const {
  // A row is read once, for all queries; centred, a few of them stay in the first-level cache.
  std::vector<CentredTrace> tile(kTileRows, pairs_.NewTrace());
  PairScorer::Scratch scratch = pairs_.NewScratch();
  const BlockPlan& plan = pairs_.plan();
  const auto blocks = static_cast<size_t>(plan.padded_blocks());
  std::vector<float> products(kTileRows * kTileColumns * blocks);
  const absl::Span<const float> known(products);
  const int64_t values = pairs_.layout().values();
  const int64_t row_count = static_cast<int64_t>(rows.size()) / values;
  for (int64_t i = 0; i < row_count; i += kTileRows) {
    const int64_t count = std::min(kTileRows, row_count - i);
    std::array<const float*, kTileRows> x;
    for (int64_t a = 0; a < count; ++a) {
      if (i + a + 1 < row_count) PrefetchRow(rows.data() + (i + a + 1) * values, values);
      pairs_.Load(rows.data() + (i + a) * values, tile[a]);
    }
    // A tile that sticks out looks at the last row again, and nobody at its products.
    for (int64_t a = 0; a < kTileRows; ++a) x[a] = tile[std::min(a, count - 1)].packed.data();
    int64_t j = 0;
    for (; j + kTileColumns <= queries(); j += kTileColumns) {
      std::array<const float*, kTileColumns> y;
      for (int64_t b = 0; b < kTileColumns; ++b) y[b] = queries_[j + b].packed.data();
      TileProducts(plan, x.data(), y.data(), products.data());
      for (int64_t a = 0; a < count; ++a) {
        for (int64_t b = 0; b < kTileColumns; ++b) {
          scores[(i + a) * queries() + j + b] =
              pairs_.ScoreProducts(tile[a], queries_[j + b],
                                   known.subspan((a * kTileColumns + b) * blocks, blocks), scratch);
        }
      }
    }
    for (; j < queries(); ++j) {
      for (int64_t a = 0; a < count; ++a)
        scores[(i + a) * queries() + j] = pairs_.Score(tile[a], queries_[j], scratch);
    }
  }
}

namespace {

// A few queries as the columns of tiles.
struct ScreenColumns {
  std::array<const float*, kTileColumns> y;
  TileTerms terms;
  TileBounds bounds;
};

}  // namespace

void Scorer::Rank(absl::Span<const float> rows, int64_t first, absl::Span<Ranking> rankings) const {
  if (rankings.empty()) return;
  constexpr float kNever = std::numeric_limits<float>::infinity();
  std::vector<ScreenColumns> columns((screens_.size() + kTileColumns - 1) / kTileColumns);
  const auto set_bounds = [&](int64_t j) {
    const Ranking::Bounds bounds = rankings[j].bounds();
    columns[j / kTileColumns].bounds.SetColumn(j % kTileColumns, bounds.high, bounds.low);
  };
  for (int64_t j = 0; j < static_cast<int64_t>(columns.size()) * kTileColumns; ++j) {
    // Where there is no further query the last one stands again, and wants nothing.
    ScreenColumns& column = columns[j / kTileColumns];
    const ScreenQuery& query = screens_[std::min(j, queries() - 1)];
    column.y[j % kTileColumns] = query.numbers();
    column.terms.SetColumn(j % kTileColumns, query.terms());
    column.bounds.SetColumn(j % kTileColumns, kNever, -kNever);
    if (j < queries()) set_bounds(j);
  }

  const int64_t values = pairs_.layout().values();
  const int64_t length = (values + kLanes - 1) / kLanes * kLanes;
  const int64_t row_count = static_cast<int64_t>(rows.size()) / values;
  std::vector<float> shifted(kTileRows * length);
  std::vector<CentredTrace> loaded(kTileRows, pairs_.NewTrace());
  PairScorer::Scratch scratch = pairs_.NewScratch();
  for (int64_t i = 0; i < row_count; i += kTileRows) {
    const int64_t count = std::min(kTileRows, row_count - i);
    std::array<const float*, kTileRows> x;
    std::array<bool, kTileRows> is_loaded = {};
    TileTerms terms;
    uint32_t sampled = 0;
    const auto load = [&](int64_t a) {
      if (!is_loaded[a]) pairs_.Load(rows.data() + (i + a) * values, loaded[a]);
      is_loaded[a] = true;
    };
    for (int64_t a = 0; a < kTileRows; ++a) {
      x[a] = shifted.data() + a * length;
      if (a >= count) continue;  // nobody looks at the products of a tile that sticks out
      if (i + a + 1 < row_count) PrefetchRow(rows.data() + (i + a + 1) * values, values);
      const float norm =
          ShiftRow(rows.subspan((i + a) * values, values), shifted.data() + a * length);
      if (pairs_.ScreensLoadedRows()) load(a);
      terms.SetRow(a, pairs_.ScreenTermsOf(norm, loaded[a]));
      if (rankings[0].IsSampled(first + i + a))
        sampled |= ((1u << kTileColumns) - 1) << (a * kTileColumns);
    }
    for (size_t p = 0; p < columns.size(); ++p) {
      uint32_t passing = sampled | PassingPairs(length, x.data(), columns[p].y.data(), terms,
                                                columns[p].terms, columns[p].bounds);
      for (; passing != 0; passing &= passing - 1) {
        const int64_t pair = absl::countr_zero(passing);
        const int64_t a = pair / kTileColumns;
        const int64_t j = static_cast<int64_t>(p) * kTileColumns + pair % kTileColumns;
        if (a >= count || j >= queries()) continue;
        load(a);
        rankings[j].Add({first + i + a, pairs_.Score(loaded[a], queries_[j], scratch)});
        set_bounds(j);
      }
    }
  }
}

void SelfVariance(const TraceLayout& layout, Centring centring, absl::Span<const float> rows,
                  absl::Span<ScoreValue> scores) {
  const auto pairs = PairScorer::Create(layout, Estimator::kCovariance, centring, true);
  if (!pairs.ok()) {
    std::fill(scores.begin(), scores.end(), ScoreValue{0, 0, true});
    return;
  }
  CentredTrace row = pairs->NewTrace();
  PairScorer::Scratch scratch = pairs->NewScratch();
  for (size_t i = 0; i < scores.size(); ++i) {
    pairs->Load(rows.data() + static_cast<int64_t>(i) * layout.values(), row);
    scores[i] = pairs->Variance(row, scratch);
  }
}

}  // namespace bif::attribution
