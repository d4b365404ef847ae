#include "src/jobs/scoring.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "src/attribution/convergence.h"
#include "src/base/status.h"
#include "src/jobs/parallel_for.h"
#include "src/jobs/resource_names.h"

namespace bif::jobs {

double AutocorrelationOf(const PosteriorView& view) {
  std::vector<float> losses;
  for (uint32_t chain : view.active_chains) {
    for (const auto& record : view.record.chains()) {
      if (record.index() != chain ||
          static_cast<uint32_t>(record.sampling_loss_size()) < view.draws)
        continue;
      losses.insert(losses.end(), record.sampling_loss().begin(),
                    record.sampling_loss().begin() + view.draws);
    }
  }
  if (losses.size() != view.active_chains.size() * view.draws) return 1;
  return attribution::AutocorrelationTime(static_cast<int64_t>(view.active_chains.size()),
                                          view.draws, losses);
}

Provenance ProvenanceOf(const PosteriorView& view, const DrawSelection& selection,
                        size_t unreadable_draws) {
  Provenance provenance;
  provenance.posterior = PosteriorName(view.record.key());
  provenance.chains = static_cast<uint32_t>(view.active_chains.size());
  provenance.draws_per_chain = selection.kept();
  for (const auto& chain : view.record.chains()) {
    if (chain.diverged()) provenance.chains_left_out.push_back(chain.index());
  }
  provenance.numerics = view.record.numerics();
  provenance.draws_left_out = static_cast<uint32_t>(unreadable_draws);
  return provenance;
}

absl::StatusOr<ChosenDraws> ChooseDraws(const PosteriorView& view, DrawWindow window,
                                        absl::Span<const absl::Span<const float>> traces,
                                        std::vector<uint32_t> missing_columns) {
  const size_t chains = view.active_chains.size();
  for (const absl::Span<const float> some : traces) {
    const std::vector<uint32_t> missing = MissingColumns(some, chains, view.draws, window);
    missing_columns.insert(missing_columns.end(), missing.begin(), missing.end());
  }
  std::sort(missing_columns.begin(), missing_columns.end());
  missing_columns.erase(std::unique(missing_columns.begin(), missing_columns.end()),
                        missing_columns.end());
  ChosenDraws chosen{DrawSelection(chains, view.draws, window, missing_columns),
                     missing_columns.size()};
  if (chosen.selection.kept() < 2) {
    return absl::DataLossError(absl::StrCat("only ", chosen.selection.kept(), " of ", window.count,
                                            " draws of ", PosteriorName(view.record.key()),
                                            " can be read in every chain"));
  }
  return chosen;
}

std::vector<float> Gather(const PosteriorView& view, const DrawSelection& selection,
                          absl::Span<const float> traces) {
  const size_t stride = view.active_chains.size() * view.draws;
  std::vector<float> kept(traces.size() / stride * selection.stride());
  for (size_t q = 0; q < traces.size() / stride; ++q)
    selection.Gather(traces.data() + q * stride, kept.data() + q * selection.stride());
  return kept;
}

attribution::TraceLayout LayoutOf(const PosteriorView& view, const DrawSelection& selection) {
  return attribution::MakeLayout(static_cast<int64_t>(view.active_chains.size()), selection.kept(),
                                 AutocorrelationOf(view));
}

absl::StatusOr<PreparedScorer> PrepareScorer(const PosteriorView& view,
                                             const ScoringSettings& settings,
                                             absl::Span<const float> queries, DrawWindow window,
                                             std::vector<uint32_t> missing_columns) {
  BIF_ASSIGN_OR_RETURN(const ChosenDraws chosen,
                       ChooseDraws(view, window, {queries}, std::move(missing_columns)));
  const DrawSelection& selection = chosen.selection;
  std::vector<float> traces = Gather(view, selection, queries);
  BIF_ASSIGN_OR_RETURN(auto scorer, attribution::Scorer::Create(
                                        LayoutOf(view, selection), settings.estimator,
                                        settings.centring, traces, settings.standard_errors));
  Provenance provenance = ProvenanceOf(view, selection, chosen.unreadable);
  provenance.estimator = settings.estimator;
  provenance.centring = settings.centring;
  provenance.observable = settings.observable;
  provenance.jackknife_blocks =
      settings.standard_errors ? static_cast<uint32_t>(scorer.blocks()) : 0;
  return PreparedScorer{selection, std::move(traces), std::move(scorer), std::move(provenance)};
}

ScoredSample Scored(std::string sample_id, const attribution::ScoreValue& value, double t_quantile,
                    int helpful_sign) {
  return {std::move(sample_id), value.score,
          value.standard_error, attribution::Distinguishable(value, t_quantile),
          value.constant,       attribution::Helps(value, helpful_sign)};
}

namespace {

// What one thread has found spares the others candidates that could not be among the best of all.
class SharedBounds {
 public:
  explicit SharedBounds(size_t queries) : bounds_(queries, {kNone, -kNone}) {}

  // Of both, the stricter bound for both. `rankings`: one a query.
  void Raise(std::vector<attribution::Ranking>& rankings) {
    absl::MutexLock lock(&mutex_);
    for (size_t q = 0; q < rankings.size(); ++q) {
      const attribution::Ranking::Bounds own = rankings[q].bounds();
      bounds_[q] = {std::max(bounds_[q].high, own.high), std::min(bounds_[q].low, own.low)};
      rankings[q].Raise(bounds_[q]);
    }
  }

 private:
  static constexpr float kNone = -std::numeric_limits<float>::infinity();
  absl::Mutex mutex_;
  std::vector<attribution::Ranking::Bounds> bounds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::vector<attribution::RankingResult>> RankCandidates(
    CandidateReader& reader, WorkerPool& workers, int threads, const Candidates& candidates,
    const PosteriorView& view, const PosteriorTraces& traces, const DrawSelection& selection,
    const attribution::Scorer& scorer, const std::vector<RankingWish>& wishes,
    absl::FunctionRef<bool()> cancelled) {
  struct Part {
    std::vector<attribution::Ranking> rankings;  // one a query
    CandidateReader::Buffer buffer;
  };
  std::vector<attribution::Ranking> empty;
  for (const RankingWish& wish : wishes)
    empty.emplace_back(wish.k, static_cast<int64_t>(candidates.rows.size()), wish.helpful_sign);
  std::vector<Part> parts(std::max(1, threads));
  for (Part& part : parts) part.rankings = empty;
  SharedBounds bounds(wishes.size());

  const std::vector<CandidateBlock> blocks = BlocksOf(candidates);
  BIF_RETURN_IF_ERROR(ParallelFor(
      workers, static_cast<int>(parts.size()), blocks.size(),
      [&](int worker, size_t b) -> absl::Status {
        if (cancelled()) return absl::CancelledError("the query was cancelled");
        Part& part = parts[worker];
        const CandidateBlock& block = blocks[b];
        BIF_ASSIGN_OR_RETURN(const auto rows,
                             reader.Rows(candidates, block, view, traces, selection, part.buffer));
        bounds.Raise(part.rankings);
        scorer.Rank(rows, static_cast<int64_t>(block.begin), absl::MakeSpan(part.rankings));
        return absl::OkStatus();
      }));
  std::vector<attribution::RankingResult> results(static_cast<size_t>(scorer.queries()));
  BIF_RETURN_IF_ERROR(ParallelFor(workers, static_cast<int>(parts.size()), results.size(),
                                  [&](int, size_t q) -> absl::Status {
                                    attribution::Ranking& all = parts[0].rankings[q];
                                    for (size_t p = 1; p < parts.size(); ++p)
                                      all.Merge(parts[p].rankings[q]);
                                    results[q] = all.Finish();
                                    return absl::OkStatus();
                                  }));
  return results;
}

}  // namespace bif::jobs
