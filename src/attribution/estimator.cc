#include "src/attribution/estimator.h"

#include <algorithm>

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
  }
  return scorer;
}

void Scorer::Score(absl::Span<const float> rows, absl::Span<ScoreValue> scores) const {
  // A row is read once, for all queries; centred, it stays in the first-level cache.
  CentredTrace row = pairs_.NewTrace();
  PairScorer::Scratch scratch = pairs_.NewScratch();
  const int64_t values = pairs_.layout().values();
  const int64_t row_count = static_cast<int64_t>(rows.size()) / values;
  for (int64_t i = 0; i < row_count; ++i) {
    if (i + 1 < row_count) PrefetchRow(rows.data() + (i + 1) * values, values);
    pairs_.Load(rows.data() + i * values, row);
    for (int64_t j = 0; j < queries(); ++j) {
      scores[i * queries() + j] = pairs_.Score(row, queries_[j], scratch);
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
