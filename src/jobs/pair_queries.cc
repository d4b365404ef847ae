// Pairs of queries and candidates: what a question with slopes needs of traces, and the answer that
// is made of both.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/observable_checks.h"
#include "src/jobs/parallel_for.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/queries_impl.h"
#include "src/jobs/scoring.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

constexpr int64_t kMostTangentBytes = int64_t{4} << 30;  // of one call, on the device
constexpr int64_t kMostPairs = (int64_t{1} << 30) / static_cast<int64_t>(sizeof(PairScore));

}  // namespace

absl::StatusOr<Queries::Impl::Asked> Queries::Impl::AskForPairs(
    const std::string& posterior, const SampleSet& queries, const SampleSet& candidates,
    const engine::Observable& observable, attribution::Centring centring, int priority) {
  Asked asked;
  asked.observable = observable;
  asked.centring = centring;
  asked.sign = attribution::HelpfulSign(attribution::Estimator::kBif, IsLoss(observable));
  BIF_ASSIGN_OR_RETURN(asked.opened, Open(posterior, observable));
  BIF_ASSIGN_OR_RETURN(
      asked.rows, resolver_.Resolve(queries, asked.opened.view, *asked.opened.traces, observable,
                                    "queries", kMaxQueries));
  asked.rows.priority = priority;
  BIF_ASSIGN_OR_RETURN(asked.candidates,
                       reader_.Resolve(candidates, asked.opened.view, *asked.opened.traces,
                                       kLossArray, "candidates"));
  asked.missing_rows = asked.rows.Missing(asked.opened.view.draws).size();
  const auto pairs = static_cast<int64_t>(asked.rows.rows.size()) *
                     static_cast<int64_t>(asked.candidates.rows.size());
  if (pairs > kMostPairs) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", pairs, " pairs of queries and candidates, more than ",
                     kMostPairs, "; ask for fewer queries or candidates at once"));
  }
  const auto tangent_bytes = static_cast<int64_t>(asked.rows.rows.size()) *
                             asked.opened.view.moving.elements *
                             static_cast<int64_t>(sizeof(float));
  if (tangent_bytes > kMostTangentBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the tangents of ", asked.rows.rows.size(), " queries, of ",
                     asked.opened.view.moving.elements, " parameters each, take ",
                     tangent_bytes >> 20, " MiB on the device, more than ", kMostTangentBytes >> 20,
                     "; ask for fewer queries at once"));
  }
  return asked;
}

absl::StatusOr<std::shared_ptr<EvaluatedRows>> Queries::Impl::TracesFor(Asked& asked,
                                                                        const CancelToken& cancel) {
  const auto quiet = [](const EvaluatedRows&, DrawWindow) { return absl::OkStatus(); };
  return TracesOf(asked.rows, asked.opened, asked.observable, cancel,
                  {quiet, absl::ZeroDuration()});
}

std::string Queries::Impl::PairsKey(const Asked& asked) {
  if (asked.rows.array == kNoArray) return "";
  std::string key = absl::StrCat(DrawsKey(asked.opened.view), "/", asked.rows.array, "/",
                                 asked.candidates.version, "/", asked.rows.dataset);
  for (const QueryRow& row : asked.rows.rows) {
    if (!row.ordinal) return "";
    absl::StrAppend(&key, ",", *row.ordinal);
  }
  return key;
}

absl::StatusOr<std::vector<TraceScores>> Queries::Impl::TraceScoresOf(
    const Asked& asked, const PreparedScorer& prepared, const CancelToken& cancel) {
  const size_t queries = asked.rows.rows.size();
  std::vector<TraceScores> scores(queries);
  for (TraceScores& one : scores) {
    one.values.resize(asked.candidates.rows.size());
    one.degrees = std::max<double>(1, static_cast<double>(prepared.scorer.blocks() - 1));
    one.t_quantile = prepared.scorer.t_quantile();
  }
  const std::vector<CandidateBlock> blocks = BlocksOf(asked.candidates);
  std::vector<CandidateReader::Buffer> buffers(std::max(1, options_.scoring_threads));
  BIF_RETURN_IF_ERROR(ParallelFor(
      parts_.workers, options_.scoring_threads, blocks.size(),
      [&](int worker, size_t b) -> absl::Status {
        if (cancel.cancelled()) return CancelledQuery();
        const CandidateBlock& block = blocks[b];
        BIF_ASSIGN_OR_RETURN(
            const auto traces,
            reader_.Rows(asked.candidates, block, asked.opened.view, *asked.opened.traces,
                         prepared.selection, buffers[worker]));
        std::vector<attribution::ScoreValue> values((block.end - block.begin) * queries);
        prepared.scorer.Score(traces, absl::MakeSpan(values));
        for (size_t i = block.begin; i < block.end; ++i) {
          for (size_t q = 0; q < queries; ++q)
            scores[q].values[i] = values[(i - block.begin) * queries + q];
        }
        return absl::OkStatus();
      }));
  return scores;
}

void Queries::Impl::KnownSlopes::Add(const TangentSession& session,
                                     std::shared_ptr<const SlopeRound> round) {
  table.lost = session.lost();
  provenance.derivatives = session.derivatives();
  provenance.left_out = session.left_out();
  provenance.forward_passes = static_cast<uint64_t>(session.passes());
  if (!round->stretches.empty()) table.rounds.push_back(std::move(round));
}

Provenance Queries::Impl::RestsOn(const Provenance& traces, const PairAnswer& pairs) {
  Provenance provenance = traces;
  provenance.pathwise = pairs.provenance;
  if (traces.estimator == attribution::Estimator::kPathwise)
    provenance.jackknife_blocks = pairs.provenance.jackknife_blocks;
  return provenance;
}

absl::StatusOr<Queries::Impl::PairAnswer> Queries::Impl::PairsFrom(
    const Asked& asked, attribution::Estimator estimator, const KnownSlopes& slopes,
    const std::vector<TraceScores>& traces) const {
  const size_t queries = asked.rows.rows.size();
  PairAnswer answer;
  answer.provenance = slopes.provenance;
  answer.scores.resize(queries);
  std::vector<Mixture> mixtures(queries);
  std::vector<SlopeScores> largest(queries);  // of each query: what it has most draws of
  BIF_RETURN_IF_ERROR(ParallelFor(
      parts_.workers, options_.scoring_threads, queries, [&](int, size_t q) -> absl::Status {
        BIF_ASSIGN_OR_RETURN(const std::vector<SlopeScores> scores,
                             ScoreSlopes(slopes.table, static_cast<int64_t>(q)));
        const TraceScores* of_traces = traces.empty() ? nullptr : &traces[q];
        if (of_traces != nullptr) {
          answer.scores[q] = PairScoresOf(*of_traces);
        } else if (scores.empty()) {
          std::string why = "no slope was taken";
          for (const StretchLeftOut& left : slopes.provenance.left_out) {
            if (left.query.value_or(q) == q) why = left.reason;
          }
          return absl::FailedPreconditionError(absl::StrCat(
              asked.rows.field, "[", q, "] has no pathwise estimate: every stretch was left out; ",
              why, ". The estimator BIF needs no tangents"));
        } else {
          answer.scores[q].resize(asked.candidates.rows.size());
        }
        mixtures[q] = AddSlopes(estimator, scores, of_traces, absl::MakeSpan(answer.scores[q]));
        for (const SlopeScores& group : scores) {
          if (group.draws > largest[q].draws) {
            largest[q].stretches = group.stretches;
            largest[q].draws = group.draws;
            largest[q].blocks = group.blocks;
          }
        }
        return absl::OkStatus();
      }));
  PathwiseProvenance& provenance = answer.provenance;
  for (const SlopeScores& one : largest) {
    if (one.draws <= static_cast<int64_t>(provenance.draws)) continue;
    provenance.stretches = static_cast<uint32_t>(one.stretches);
    provenance.draws = static_cast<uint32_t>(one.draws);
    provenance.jackknife_blocks = static_cast<uint32_t>(one.blocks);
  }
  if (estimator != attribution::Estimator::kMixed) return answer;
  for (const Mixture& mixture : mixtures) {
    provenance.pathwise_weight.push_back(mixture.pathwise_weight);
    provenance.share_that_disagree.push_back(mixture.share_that_disagree);
  }
  return answer;
}

absl::StatusOr<AttributeUpdate> Queries::Impl::RankedUpdate(
    const Asked& asked, const PairAnswer& pairs, const Provenance& provenance, int64_t k,
    const std::vector<ContendersOfBoth>* contenders) {
  AttributeUpdate update;
  const PosteriorView& view = asked.opened.view;
  update.draws_total = view.draws * static_cast<uint32_t>(view.active_chains.size());
  update.draws_done = update.draws_total;
  update.provenance = RestsOn(provenance, pairs);
  update.rows_evaluated = asked.missing_rows;
  for (size_t q = 0; q < pairs.scores.size(); ++q) {
    const std::vector<PairScore>& scores = pairs.scores[q];
    const attribution::RankingResult result = RankPairs(scores, k, asked.sign);
    QueryRanking& ranking = update.rankings.emplace_back();
    ranking.query = static_cast<uint32_t>(q);
    if (!asked.rows.is_inline) ranking.sample_id = asked.rows.rows[q].sample_id;
    ranking.helpful_stability = result.helpful_stability;
    ranking.harmful_stability = result.harmful_stability;
    if (contenders != nullptr) ranking.refined = Describe((*contenders)[q], scores);
    const auto add = [&](const std::vector<attribution::RankedCandidate>& from,
                         std::vector<ScoredSample>& to) -> absl::Status {
      for (const attribution::RankedCandidate& c : from) {
        BIF_ASSIGN_OR_RETURN(
            std::string id,
            reader_.IdOf(asked.candidates.dataset, asked.candidates.rows[c.candidate].ordinal));
        to.push_back(Scored(std::move(id), c.value, scores[c.candidate].t_quantile, asked.sign));
        to.back().refined = contenders != nullptr && scores[c.candidate].has_slopes;
      }
      return absl::OkStatus();
    };
    BIF_RETURN_IF_ERROR(add(result.helpful, ranking.helpful));
    BIF_RETURN_IF_ERROR(add(result.harmful, ranking.harmful));
  }
  return update;
}

absl::StatusOr<Queries::Impl::TracesPart> Queries::Impl::TracesPartOf(
    Asked& asked, attribution::Estimator estimator, const CancelToken& cancel) {
  TracesPart part;
  BIF_ASSIGN_OR_RETURN(const auto values, TracesFor(asked, cancel));
  const PosteriorView& view = asked.opened.view;
  if (estimator == attribution::Estimator::kPathwise) {
    // Draws that cannot be read are no matter to it.
    part.provenance = ProvenanceOf(
        view, DrawSelection(view.active_chains.size(), view.draws, {0, view.draws}, {}), 0);
  } else {
    BIF_ASSIGN_OR_RETURN(const auto missing_columns,
                         reader_.MissingColumnsOf(asked.candidates, view, *asked.opened.traces));
    const ScoringSettings settings{attribution::Estimator::kBif, asked.centring, asked.observable,
                                   true};
    BIF_ASSIGN_OR_RETURN(
        const PreparedScorer prepared,
        PrepareScorer(view, settings, values->values(), {0, view.draws}, missing_columns));
    BIF_ASSIGN_OR_RETURN(part.scores, TraceScoresOf(asked, prepared, cancel));
    part.provenance = prepared.provenance;
  }
  part.provenance.estimator = estimator;
  part.provenance.centring = asked.centring;
  part.provenance.observable = asked.observable;
  return part;
}

}  // namespace bif::jobs
