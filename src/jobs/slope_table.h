// Slopes as they were taken, and the scores that they make. Plain values and pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "src/attribution/score.h"
#include "src/jobs/stretch_plan.h"

namespace bif::jobs {

// The same rows at some draws. Written by the device thread; not changed once it is done.
struct SlopeRound {
  SlopeRound(std::vector<uint32_t> row_list, int64_t query_count, int64_t most_draws);

  std::vector<uint32_t> rows;       // candidates, ascending
  std::vector<uint32_t> stretches;  // of each draw that is complete
  int64_t most_draws;               // room
  std::vector<float> slopes;        // [query][row][most_draws]

  const float* Of(int64_t query, size_t row) const {
    return slopes.data() +
           (query * static_cast<int64_t>(rows.size()) + static_cast<int64_t>(row)) * most_draws;
  }
};

struct SlopeTable {
  StretchPlan plan;
  int64_t queries = 0;
  std::vector<std::shared_ptr<const SlopeRound>> rounds;
  std::vector<std::vector<bool>> lost;  // [query][stretch]: no estimate of the query has it

  int64_t bytes() const;
};

int64_t DrawsOf(const SlopeTable& table);  // of all rounds together

// Scores of rows that have slopes at the same draws.
struct SlopeScores {
  std::vector<uint32_t> rows;                   // candidates, ascending
  std::vector<attribution::ScoreValue> scores;  // BIF, one a row
  double degrees = 0;                           // of Student's t
  double t_quantile = 0;
  int64_t stretches = 0;
  int64_t draws = 0;
  int64_t blocks = 0;
};

// Of one query; empty if all its stretches are lost or no draw is complete.
absl::StatusOr<std::vector<SlopeScores>> ScoreSlopes(const SlopeTable& table, int64_t query);

}  // namespace bif::jobs
