#include "src/jobs/pair_scores.h"

#include <algorithm>
#include <cmath>

#include "src/attribution/mixing.h"

namespace bif::jobs {
namespace {

bool HasError(const attribution::ScoreValue& value) {
  return value.constant || std::isfinite(value.standard_error);
}

}  // namespace

std::vector<PairScore> PairScoresOf(const TraceScores& traces) {
  std::vector<PairScore> scores;
  scores.reserve(traces.values.size());
  for (const attribution::ScoreValue& value : traces.values)
    scores.push_back({value, traces.degrees, traces.t_quantile, false});
  return scores;
}

Mixture AddSlopes(attribution::Estimator estimator, const std::vector<SlopeScores>& slopes,
                  const TraceScores* traces, absl::Span<PairScore> scores) {
  Mixture mixture;
  double pairs = 0;
  for (const SlopeScores& group : slopes) {
    std::vector<attribution::ScoreValue> of_traces;
    for (const uint32_t row : group.rows) {
      if (traces != nullptr) of_traces.push_back(traces->values[row]);
    }
    const bool mixes = estimator == attribution::Estimator::kMixed && traces != nullptr;
    const attribution::Mixer mixer(mixes ? group.scores : std::vector<attribution::ScoreValue>{},
                                   group.degrees, of_traces,
                                   traces != nullptr ? traces->degrees : 1);
    const auto size = static_cast<double>(group.rows.size());
    for (size_t i = 0; i < group.rows.size(); ++i) {
      PairScore& score = scores[group.rows[i]];
      if (traces != nullptr && !HasError(group.scores[i]) && HasError(of_traces[i])) {
        score = {of_traces[i], traces->degrees, traces->t_quantile, false};
      } else if (mixes) {
        const attribution::MixedScore mixed = mixer.Mix(group.scores[i], of_traces[i]);
        score = {mixed.value, std::max(1.0, mixed.degrees), mixed.t_quantile, true};
      } else {
        score = {group.scores[i], std::max(1.0, group.degrees), group.t_quantile, true};
      }
    }
    if (!mixes) continue;
    pairs += size;
    mixture.pathwise_weight += size * mixer.common_weight();
    mixture.share_that_disagree += size * mixer.share_that_disagree();
  }
  if (pairs > 0) {
    mixture.pathwise_weight /= pairs;
    mixture.share_that_disagree /= pairs;
  }
  return mixture;
}

attribution::RankingResult RankPairs(absl::Span<const PairScore> scores, int64_t k,
                                     int helpful_sign) {
  attribution::Ranking ranking(k, static_cast<int64_t>(scores.size()), helpful_sign);
  for (size_t i = 0; i < scores.size(); ++i)
    ranking.Add({static_cast<int64_t>(i), scores[i].value});
  return ranking.Finish();
}

ContendersOfBoth FindContendersOfBoth(absl::Span<const PairScore> scores, int64_t k,
                                      int helpful_sign, bool simultaneous) {
  std::vector<attribution::CandidateScore> candidates;
  candidates.reserve(scores.size());
  for (const PairScore& score : scores)
    candidates.push_back({score.value.score, score.value.standard_error, score.degrees});
  attribution::ContenderRule rule{.k = k, .sign = helpful_sign, .simultaneous = simultaneous};
  ContendersOfBoth both;
  both.helpful = attribution::FindContenders(candidates, rule);
  rule.sign = -helpful_sign;
  both.harmful = attribution::FindContenders(candidates, rule);
  return both;
}

RefinedCandidates Describe(const ContendersOfBoth& contenders, absl::Span<const PairScore> scores) {
  RefinedCandidates refined;
  for (const PairScore& score : scores) refined.refined += score.has_slopes ? 1 : 0;
  refined.helpful_decided = static_cast<uint32_t>(contenders.helpful.in.size());
  refined.harmful_decided = static_cast<uint32_t>(contenders.harmful.in.size());
  refined.helpful_undecided = contenders.helpful.undecided.size();
  refined.harmful_undecided = contenders.harmful.undecided.size();
  return refined;
}

}  // namespace bif::jobs
