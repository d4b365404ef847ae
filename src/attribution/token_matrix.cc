#include "src/attribution/token_matrix.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "src/attribution/row_kernel.h"

namespace bif::attribution {
namespace {

std::vector<CentredTrace> LoadAll(const PairScorer& pairs, absl::Span<const float> traces) {
  const int64_t values = pairs.layout().values();
  std::vector<CentredTrace> loaded;
  for (size_t begin = 0; begin < traces.size(); begin += static_cast<size_t>(values)) {
    loaded.push_back(pairs.NewTrace());
    pairs.Load(traces.data() + begin, loaded.back());
  }
  return loaded;
}

}  // namespace

absl::StatusOr<TokenMatrix> TokenMatrix::Create(const TraceLayout& layout, Estimator estimator,
                                                Centring centring, absl::Span<const float> rows,
                                                absl::Span<const float> columns,
                                                bool standard_errors) {
  auto pairs = PairScorer::Create(layout, estimator, centring, standard_errors);
  if (!pairs.ok()) return pairs.status();
  const auto values = static_cast<size_t>(layout.values());
  if (rows.empty() || columns.empty() || rows.size() % values != 0 ||
      columns.size() % values != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("token traces of ", rows.size(), " and ", columns.size(),
                     " numbers; each must be tokens x ", values, " draws"));
  }
  TokenMatrix matrix(*std::move(pairs));
  matrix.rows_ = LoadAll(matrix.pairs_, rows);
  matrix.columns_ = LoadAll(matrix.pairs_, columns);
  CentredTrace row_sum = matrix.pairs_.NewTrace();
  matrix.pairs_.LoadSum(matrix.rows_, row_sum);
  CentredTrace column_sum = matrix.pairs_.NewTrace();
  matrix.pairs_.LoadSum(matrix.columns_, column_sum);
  PairScorer::Scratch scratch = matrix.pairs_.NewScratch();
  matrix.total_ = matrix.pairs_.Score(row_sum, column_sum, scratch);
  matrix.columns_.push_back(std::move(column_sum));
  return matrix;
}

void TokenMatrix::Score(int64_t first, int64_t count, absl::Span<ScoreValue> entries,
                        absl::Span<ScoreValue> completions) const {
  const auto width = static_cast<int64_t>(columns_.size());
  const auto blocks = static_cast<size_t>(pairs_.plan().padded_blocks());
  std::vector<float> products(kTileRows * kTileColumns * blocks);
  PairScorer::Scratch scratch = pairs_.NewScratch();
  for (int64_t i = 0; i < count; i += kTileRows) {
    // A tile that sticks out looks at the last row or column again, and nobody at its products.
    std::array<const float*, kTileRows> x;
    for (int64_t a = 0; a < kTileRows; ++a)
      x[a] = rows_[first + std::min(i + a, count - 1)].packed.data();
    for (int64_t j = 0; j < width; j += kTileColumns) {
      std::array<const float*, kTileColumns> y;
      for (int64_t b = 0; b < kTileColumns; ++b)
        y[b] = columns_[std::min(j + b, width - 1)].packed.data();
      TileProducts(pairs_.plan(), x.data(), y.data(), products.data());
      for (int64_t a = 0; a < std::min(kTileRows, count - i); ++a) {
        for (int64_t b = 0; b < std::min(kTileColumns, width - j); ++b) {
          const ScoreValue value = pairs_.ScoreProducts(
              rows_[first + i + a], columns_[j + b],
              absl::MakeConstSpan(products).subspan((a * kTileColumns + b) * blocks, blocks),
              scratch);
          if (j + b < columns()) {
            entries[(i + a) * columns() + j + b] = value;
          } else {
            completions[i + a] = value;
          }
        }
      }
    }
  }
}

}  // namespace bif::attribution
