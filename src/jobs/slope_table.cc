#include "src/jobs/slope_table.h"

#include <algorithm>
#include <map>
#include <utility>

#include "src/attribution/pathwise.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

constexpr size_t kRowsForTimes = 32;  // of which the autocorrelation time is taken

// Where a draw of a group of rows stands.
struct Place {
  size_t round = 0;
  size_t draw = 0;
};

// Rows that are in the same rounds.
struct Group {
  std::vector<size_t> rounds;
  std::vector<uint32_t> rows;
};

std::vector<Group> GroupsOf(const SlopeTable& table) {
  std::map<uint32_t, std::vector<size_t>> rounds_of;
  bool all_alike = true;
  for (size_t r = 0; r < table.rounds.size(); ++r)
    all_alike = all_alike && table.rounds[r]->rows == table.rounds[0]->rows;
  if (all_alike && !table.rounds.empty()) {
    Group group{{}, table.rounds[0]->rows};
    for (size_t r = 0; r < table.rounds.size(); ++r) group.rounds.push_back(r);
    return {std::move(group)};
  }
  for (size_t r = 0; r < table.rounds.size(); ++r) {
    for (const uint32_t row : table.rounds[r]->rows) rounds_of[row].push_back(r);
  }
  std::map<std::vector<size_t>, std::vector<uint32_t>> groups;
  for (const auto& [row, rounds] : rounds_of) groups[rounds].push_back(row);
  std::vector<Group> all;
  for (auto& [rounds, rows] : groups) all.push_back({rounds, std::move(rows)});
  return all;
}

// The group's draws, stretch after stretch, each in the order of time.
struct Draws {
  std::vector<Place> places;
  attribution::StretchLayout layout;
};
Draws PlacesOf(const SlopeTable& table, const Group& group, int64_t query) {
  std::vector<std::vector<Place>> by_stretch(table.plan.stretches.size());
  for (const size_t r : group.rounds) {
    const std::vector<uint32_t>& stretches = table.rounds[r]->stretches;
    for (size_t d = 0; d < stretches.size(); ++d) by_stretch[stretches[d]].push_back({r, d});
  }
  Draws draws;
  for (size_t s = 0; s < by_stretch.size(); ++s) {
    if (by_stretch[s].empty() || table.lost[query][s]) continue;
    draws.layout.draws.push_back(static_cast<int64_t>(by_stretch[s].size()));
    draws.places.insert(draws.places.end(), by_stretch[s].begin(), by_stretch[s].end());
  }
  return draws;
}

class GroupReader {
 public:
  GroupReader(const SlopeTable& table, const Group& group, const Draws& draws, int64_t query)
      : table_(table), draws_(draws), query_(query), at_(table.rounds.size(), 0), group_(group) {}

  // Rows must be asked for in ascending order.
  void Read(uint32_t row, float* to) {
    for (const size_t r : group_.rounds) {
      const std::vector<uint32_t>& rows = table_.rounds[r]->rows;
      while (rows[at_[r]] < row) ++at_[r];
    }
    for (const Place& place : draws_.places)
      *to++ = table_.rounds[place.round]->Of(query_, at_[place.round])[place.draw];
  }

 private:
  const SlopeTable& table_;
  const Draws& draws_;
  const int64_t query_;
  std::vector<size_t> at_;  // of each round
  const Group& group_;
};

absl::StatusOr<attribution::PathwiseScorer> ScorerOf(const SlopeTable& table, const Group& group,
                                                     const Draws& draws, int64_t query) {
  const size_t some = std::min(group.rows.size(), kRowsForTimes);
  std::vector<float> slopes(some * draws.places.size());
  GroupReader reader(table, group, draws, query);
  for (size_t i = 0; i < some; ++i) {
    reader.Read(group.rows[i * group.rows.size() / some], slopes.data() + i * draws.places.size());
  }
  BIF_ASSIGN_OR_RETURN(
      attribution::SlopeBlocks blocks,
      attribution::MakeSlopeBlocks(draws.layout,
                                   attribution::SlopeAutocorrelationTime(draws.layout, slopes)));
  return attribution::PathwiseScorer::Create(std::move(blocks), attribution::Estimator::kBif);
}

}  // namespace

SlopeRound::SlopeRound(std::vector<uint32_t> row_list, int64_t query_count, int64_t draws)
    : rows(std::move(row_list)),
      most_draws(draws),
      slopes(static_cast<size_t>(query_count) * rows.size() * static_cast<size_t>(draws)) {}

int64_t SlopeTable::bytes() const {
  size_t bytes = 0;
  for (const auto& round : rounds)
    bytes += round->slopes.size() * sizeof(float) + round->rows.size() * sizeof(uint32_t);
  return static_cast<int64_t>(bytes);
}

int64_t DrawsOf(const SlopeTable& table) {
  int64_t draws = 0;
  for (const auto& round : table.rounds) draws += static_cast<int64_t>(round->stretches.size());
  return draws;
}

absl::StatusOr<std::vector<SlopeScores>> ScoreSlopes(const SlopeTable& table, int64_t query) {
  std::vector<SlopeScores> all;
  for (const Group& group : GroupsOf(table)) {
    const Draws draws = PlacesOf(table, group, query);
    if (draws.places.empty() || group.rows.empty()) continue;
    BIF_ASSIGN_OR_RETURN(const attribution::PathwiseScorer scorer,
                         ScorerOf(table, group, draws, query));
    SlopeScores scores;
    scores.rows = group.rows;
    scores.scores.resize(group.rows.size());
    std::vector<float> slopes(draws.places.size());
    GroupReader reader(table, group, draws, query);
    for (size_t i = 0; i < group.rows.size(); ++i) {
      reader.Read(group.rows[i], slopes.data());
      scorer.Score(slopes, {&scores.scores[i], 1});
    }
    scores.degrees = scorer.degrees();
    scores.t_quantile = scorer.t_quantile();
    scores.stretches = static_cast<int64_t>(draws.layout.draws.size());
    scores.draws = static_cast<int64_t>(draws.places.size());
    scores.blocks = scorer.blocks().blocks();
    all.push_back(std::move(scores));
  }
  return all;
}

}  // namespace bif::jobs
