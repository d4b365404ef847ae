// From query traces and candidates to rankings: one pass over the candidates' rows, shared by a few
// threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "src/attribution/estimator.h"
#include "src/attribution/ranking.h"
#include "src/base/cancel.h"
#include "src/jobs/candidates.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/queries.h"
#include "src/jobs/worker_pool.h"

namespace bif::jobs {

struct ScoringSettings {
  attribution::Estimator estimator = attribution::Estimator::kBif;
  attribution::Centring centring = attribution::Centring::kPooled;
  engine::Observable observable;
  bool standard_errors = true;
};

// Queries and the draws that an answer about them uses, ready to score rows.
struct PreparedScorer {
  DrawSelection selection;
  std::vector<float> traces;  // of the queries, at these draws
  attribution::Scorer scorer;
  Provenance provenance;
};

// The draws of the window, less those at which one of `traces` ([trace][chain][draw]) has no value,
// or that are among `missing_columns` (those of the candidates). DATA_LOSS if fewer than 2 are
// left.
struct ChosenDraws {
  DrawSelection selection;
  size_t unreadable = 0;  // draws left out
};
absl::StatusOr<ChosenDraws> ChooseDraws(const PosteriorView& view, DrawWindow window,
                                        absl::Span<const absl::Span<const float>> traces,
                                        std::vector<uint32_t> missing_columns);

// Those draws of traces.
std::vector<float> Gather(const PosteriorView& view, const DrawSelection& selection,
                          absl::Span<const float> traces);

attribution::TraceLayout LayoutOf(const PosteriorView& view, const DrawSelection& selection);

// `queries`: [query][chain][draw], of which the draws of the window are known.
// `missing_columns`: those of the candidates. DATA_LOSS if fewer than 2 draws are left.
absl::StatusOr<PreparedScorer> PrepareScorer(const PosteriorView& view,
                                             const ScoringSettings& settings,
                                             absl::Span<const float> queries, DrawWindow window,
                                             std::vector<uint32_t> missing_columns);

// The sampling loss's autocorrelation time in draws, over the chains that count.
double AutocorrelationOf(const PosteriorView& view);

// Chains, draws and numerics of an answer; estimator, centring and blocks are the caller's.
Provenance ProvenanceOf(const PosteriorView& view, const DrawSelection& selection,
                        size_t unreadable_draws);

// A score as an answer says it.
ScoredSample Scored(std::string sample_id, const attribution::ScoreValue& value, double t_quantile,
                    int helpful_sign);

// What is wanted of one query: the k best candidates at both ends.
struct RankingWish {
  int64_t k = 0;
  int helpful_sign = 0;
};

// One ranking for each query of the scorer, in one pass over the candidates' rows. CANCELLED once
// `cancelled` says so.
absl::StatusOr<std::vector<attribution::RankingResult>> RankCandidates(
    CandidateReader& reader, WorkerPool& workers, int threads, const Candidates& candidates,
    const PosteriorView& view, const PosteriorTraces& traces, const DrawSelection& selection,
    const attribution::Scorer& scorer, const std::vector<RankingWish>& wishes,
    absl::FunctionRef<bool()> cancelled);

}  // namespace bif::jobs
