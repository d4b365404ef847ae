// Seconds of processor time to score one query against 60,000 rows of 400 draws in memory, and 12
// queries at once; to rank the rows for one query and for 64; and milliseconds for a matrix of 150
// x 150 tokens at 2,000 draws. Prints `name value unit`.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "src/attribution/estimator.h"
#include "src/attribution/ranking.h"
#include "src/attribution/token_matrix.h"

namespace {

using bif::attribution::Centring;
using bif::attribution::Estimator;
using bif::attribution::Scorer;
using bif::attribution::ScoreValue;

constexpr int64_t kRows = 60000;
constexpr int64_t kChains = 4;
constexpr int64_t kDraws = 100;

// Of the processor: other processes do not lengthen it.
double SecondsSince(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

double Seconds(const Scorer& scorer, const std::vector<float>& rows) {
  std::vector<ScoreValue> scores(kRows * scorer.queries());
  double best = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const std::clock_t start = std::clock();
    scorer.Score(rows, absl::MakeSpan(scores));
    best = std::min(best, SecondsSince(start));
  }
  return best;
}

void Measure(const char* name, int64_t queries, Estimator estimator, bool standard_errors,
             const std::vector<float>& rows) {
  const auto layout = bif::attribution::MakeLayout(kChains, kDraws, 1);
  const auto scorer =
      Scorer::Create(layout, estimator, Centring::kPooled,
                     absl::MakeSpan(rows).first(queries * layout.values()), standard_errors);
  if (scorer.ok()) std::printf("%s %.4f s\n", name, Seconds(*scorer, rows));
}

// What a question about so many queries costs: standard errors where they are needed alone.
void MeasureRanking(const char* name, int64_t queries, const std::vector<float>& rows) {
  const auto layout = bif::attribution::MakeLayout(kChains, kDraws, 1);
  const auto scorer = Scorer::Create(layout, Estimator::kBif, Centring::kPooled,
                                     absl::MakeSpan(rows).first(queries * layout.values()));
  if (!scorer.ok()) return;
  double best = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::vector<bif::attribution::Ranking> rankings(queries, {10, kRows, -1});
    const std::clock_t start = std::clock();
    scorer->Rank(rows, 0, absl::MakeSpan(rankings));
    best = std::min(best, SecondsSince(start));
  }
  std::printf("%s %.4f s\n", name, best);
}

// From traces as they are stored to scores with standard errors.
void MeasureTokenMatrix(const std::vector<float>& traces) {
  constexpr int64_t kTokens = 150;
  const auto layout = bif::attribution::MakeLayout(5, 400, 1);
  const auto tokens = absl::MakeSpan(traces).first(kTokens * layout.values());
  const auto others = absl::MakeSpan(traces).subspan(tokens.size(), tokens.size());
  std::vector<ScoreValue> entries(kTokens * kTokens);
  std::vector<ScoreValue> completions(kTokens);
  double best = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const std::clock_t start = std::clock();
    const auto matrix = bif::attribution::TokenMatrix::Create(layout, Estimator::kBif,
                                                              Centring::kPooled, tokens, others);
    if (!matrix.ok()) return;
    matrix->Score(0, kTokens, absl::MakeSpan(entries), absl::MakeSpan(completions));
    best = std::min(best, 1e3 * SecondsSince(start));
  }
  std::printf("token_matrix_ms %.2f ms\n", best);
}

}  // namespace

int main() {
  std::vector<float> rows(kRows * kChains * kDraws);
  uint32_t state = 1;
  for (float& v : rows) {
    state = state * 1664525u + 1013904223u;
    v = 0.3f + static_cast<float>(state >> 8) * 1e-9f;
  }
  Measure("score_60k_400_with_errors_seconds", 1, Estimator::kBif, true, rows);
  Measure("score_60k_400_correlation_with_errors_seconds", 1, Estimator::kNormalizedBif, true,
          rows);
  Measure("score_60k_400_plain_seconds", 1, Estimator::kBif, false, rows);
  Measure("score_60k_400_12_queries_with_errors_seconds", 12, Estimator::kBif, true, rows);
  Measure("score_60k_400_12_queries_plain_seconds", 12, Estimator::kBif, false, rows);
  MeasureRanking("rank_60k_400_seconds", 1, rows);
  MeasureRanking("rank_60k_400_64_queries_seconds", 64, rows);
  MeasureTokenMatrix(rows);
  return 0;
}
