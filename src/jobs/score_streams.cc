// Answers that come in blocks: all scores, self-influence, the traces themselves.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/jobs/parallel_for.h"
#include "src/jobs/pathwise_checks.h"
#include "src/jobs/queries_impl.h"
#include "src/jobs/scoring.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

constexpr int64_t kExportBytes = 1 << 20;

// Losses at w* of a block's candidates.
absl::StatusOr<std::vector<float>> AnchorLosses(storage::Store& store, const PosteriorView& view,
                                                const Candidates& candidates,
                                                const CandidateBlock& block) {
  std::vector<SlotRun> runs;
  for (size_t i = block.begin; i < block.end; ++i) {
    const uint32_t slot = candidates.rows[i].slot;
    if (!runs.empty() && runs.back().first_slot + runs.back().slots == slot) {
      ++runs.back().slots;
    } else {
      runs.push_back({slot, 1});
    }
  }
  std::vector<float> losses(block.end - block.begin);
  BIF_RETURN_IF_ERROR(ReadRows(store.traces(),
                               {view.record.number(), kAnchorLossArray, candidates.dataset}, {0}, 1,
                               runs, absl::MakeSpan(losses)));
  return losses;
}

// What decides, beside the request, which numbers a stream of blocks holds. `candidates` may be
// null, where the request itself holds the samples.
std::string AnsweredFrom(const PosteriorView& view, const Candidates* candidates) {
  Sha256 digest;
  digest.UpdateField(view.record.key());
  digest.UpdateU64(view.record.number());  // another one of the same key after a deletion
  digest.UpdateU64(view.draws);
  for (const uint32_t chain : view.active_chains) digest.UpdateU64(chain);
  if (candidates != nullptr) {
    digest.UpdateU64(candidates->dataset);
    digest.UpdateU64(candidates->array);
    for (const TracedRow& row : candidates->rows) digest.UpdateU64(row.slot);
  }
  return ToHex(digest.Finish());
}

// Blocks that hold a candidate from `first` on. A stream is only ever cut off between blocks.
std::vector<CandidateBlock> BlocksFrom(const Candidates& candidates, size_t first) {
  std::vector<CandidateBlock> blocks = BlocksOf(candidates);
  std::erase_if(blocks, [&](const CandidateBlock& block) { return block.end <= first; });
  return blocks;
}

}  // namespace

absl::Status Queries::Impl::ScoreMatrix(const ScoreMatrixRequest& request,
                                        const CancelToken& cancel,
                                        absl::FunctionRef<absl::Status(const ScoreBlock&)> sink) {
  BIF_RETURN_IF_ERROR(CheckPathwise(request.estimator, request.pathwise, std::nullopt));
  if (attribution::NeedsSlopes(request.estimator))
    return ScoreMatrixWithSlopes(request, cancel, sink);
  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, request.observable));
  const PosteriorView& view = opened.view;
  BIF_ASSIGN_OR_RETURN(QueryRows rows,
                       resolver_.Resolve(request.queries, view, *opened.traces, request.observable,
                                         "queries", kMaxQueries));
  rows.priority = request.priority;
  BIF_ASSIGN_OR_RETURN(
      const Candidates candidates,
      reader_.Resolve(request.candidates, view, *opened.traces, kLossArray, "candidates"));
  BIF_ASSIGN_OR_RETURN(const ResumableStream stream,
                       ResumableStream::Open(request.resumption, AnsweredFrom(view, &candidates)));
  const auto quiet = [](const EvaluatedRows&, DrawWindow) { return absl::OkStatus(); };
  BIF_ASSIGN_OR_RETURN(const auto values, TracesOf(rows, opened, request.observable, cancel,
                                                   {quiet, absl::ZeroDuration()}));
  BIF_ASSIGN_OR_RETURN(const auto missing_columns,
                       reader_.MissingColumnsOf(candidates, view, *opened.traces));
  const ScoringSettings settings{request.estimator, request.centring, request.observable,
                                 request.standard_errors};
  BIF_ASSIGN_OR_RETURN(
      const PreparedScorer prepared,
      PrepareScorer(view, settings, values->values(), {0, view.draws}, missing_columns));

  const std::vector<CandidateBlock> blocks = BlocksFrom(candidates, stream.first());
  std::vector<CandidateReader::Buffer> buffers(std::max(1, options_.scoring_threads));
  const auto score = [&](int worker, size_t b) -> absl::StatusOr<ScoreBlock> {
    if (cancel.cancelled()) return CancelledQuery();
    const CandidateBlock& block = blocks[b];
    BIF_ASSIGN_OR_RETURN(const auto traces, reader_.Rows(candidates, block, view, *opened.traces,
                                                         prepared.selection, buffers[worker]));
    std::vector<attribution::ScoreValue> scores((block.end - block.begin) * rows.rows.size());
    prepared.scorer.Score(traces, absl::MakeSpan(scores));
    ScoreBlock out;
    out.first_candidate = block.begin;
    BIF_ASSIGN_OR_RETURN(out.candidate_ids, reader_.IdsOf(candidates, block));
    out.queries = static_cast<uint32_t>(rows.rows.size());
    for (const auto& value : scores) {
      out.scores.push_back(value.score);
      if (request.standard_errors) out.standard_errors.push_back(value.standard_error);
    }
    out.provenance = &prepared.provenance;
    out.resume_token = stream.TokenBefore(block.end);
    return out;
  };
  return ParallelInOrder<ScoreBlock>(parts_.workers, options_.scoring_threads, blocks.size(), score,
                                     sink);
}

absl::Status Queries::Impl::ScoreMatrixWithSlopes(
    const ScoreMatrixRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const ScoreBlock&)> sink) {
  BIF_ASSIGN_OR_RETURN(Asked asked,
                       AskForPairs(request.posterior, request.queries, request.candidates,
                                   request.observable, request.centring, request.priority));
  BIF_ASSIGN_OR_RETURN(const ResumableStream stream,
                       ResumableStream::Open(request.resumption,
                                             AnsweredFrom(asked.opened.view, &asked.candidates)));
  BIF_ASSIGN_OR_RETURN(const attribution::TangentRelaxation relaxation,
                       RelaxationOf(parts_.store, asked.opened.view));
  const int64_t draws = request.pathwise.wanted();
  BIF_ASSIGN_OR_RETURN(const TracesPart traces, TracesPartOf(asked, request.estimator, cancel));
  const auto quiet = [](const KnownSlopes&, int64_t) { return absl::OkStatus(); };
  BIF_ASSIGN_OR_RETURN(const auto slopes, SlopesOf(asked, relaxation, draws, cancel, quiet));
  BIF_ASSIGN_OR_RETURN(const PairAnswer pairs,
                       PairsFrom(asked, request.estimator, *slopes, traces.scores));
  const Provenance provenance = RestsOn(traces.provenance, pairs);
  for (const CandidateBlock& block : BlocksFrom(asked.candidates, stream.first())) {
    if (cancel.cancelled()) return CancelledQuery();
    ScoreBlock out;
    out.first_candidate = block.begin;
    BIF_ASSIGN_OR_RETURN(out.candidate_ids, reader_.IdsOf(asked.candidates, block));
    out.queries = static_cast<uint32_t>(asked.rows.rows.size());
    for (size_t i = block.begin; i < block.end; ++i) {
      for (const std::vector<PairScore>& scores : pairs.scores) {
        out.scores.push_back(scores[i].value.score);
        if (request.standard_errors) out.standard_errors.push_back(scores[i].value.standard_error);
      }
    }
    out.provenance = &provenance;
    out.resume_token = stream.TokenBefore(block.end);
    BIF_RETURN_IF_ERROR(sink(out));
  }
  return absl::OkStatus();
}

absl::Status Queries::Impl::SelfInfluence(
    const SelfInfluenceRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const SelfInfluenceBlock&)> sink) {
  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, {}));
  const PosteriorView& view = opened.view;
  BIF_ASSIGN_OR_RETURN(
      const Candidates candidates,
      reader_.Resolve(request.candidates, view, *opened.traces, kLossArray, "candidates"));
  BIF_ASSIGN_OR_RETURN(const ResumableStream stream,
                       ResumableStream::Open(request.resumption, AnsweredFrom(view, &candidates)));
  BIF_ASSIGN_OR_RETURN(const auto missing_columns,
                       reader_.MissingColumnsOf(candidates, view, *opened.traces));
  // No query: an empty scorer still says which draws and blocks count.
  const ScoringSettings settings{attribution::Estimator::kCovariance, request.centring, {}, true};
  BIF_ASSIGN_OR_RETURN(const PreparedScorer prepared,
                       PrepareScorer(view, settings, {}, {0, view.draws}, missing_columns));
  const auto layout = LayoutOf(view, prepared.selection);
  const std::vector<CandidateBlock> blocks = BlocksFrom(candidates, stream.first());
  std::vector<CandidateReader::Buffer> buffers(std::max(1, options_.scoring_threads));
  const auto score = [&](int worker, size_t b) -> absl::StatusOr<SelfInfluenceBlock> {
    if (cancel.cancelled()) return CancelledQuery();
    const CandidateBlock& block = blocks[b];
    BIF_ASSIGN_OR_RETURN(const auto traces, reader_.Rows(candidates, block, view, *opened.traces,
                                                         prepared.selection, buffers[worker]));
    std::vector<attribution::ScoreValue> variances(block.end - block.begin);
    attribution::SelfVariance(layout, request.centring, traces, absl::MakeSpan(variances));
    SelfInfluenceBlock out;
    BIF_ASSIGN_OR_RETURN(out.anchor_losses, AnchorLosses(parts_.store, view, candidates, block));
    BIF_ASSIGN_OR_RETURN(out.sample_ids, reader_.IdsOf(candidates, block));
    for (size_t i = 0; i < variances.size(); ++i) {
      out.variances.push_back(variances[i].score);
      out.standard_errors.push_back(variances[i].standard_error);
      double sum = 0;
      for (float loss :
           traces.subspan(i * prepared.selection.stride(), prepared.selection.stride()))
        sum += loss;
      out.mean_losses.push_back(
          static_cast<float>(sum / static_cast<double>(prepared.selection.stride())));
    }
    out.provenance = &prepared.provenance;
    out.resume_token = stream.TokenBefore(block.end);
    return out;
  };
  return ParallelInOrder<SelfInfluenceBlock>(parts_.workers, options_.scoring_threads,
                                             blocks.size(), score, sink);
}

absl::Status Queries::Impl::ExportTraces(
    const ExportTracesRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const TraceExportBlock&)> sink) {
  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, request.observable));
  const PosteriorView& view = opened.view;
  const size_t stride = view.active_chains.size() * view.draws;
  // At most 1 MiB a block, and never less than one sample.
  const size_t most = std::max<size_t>(1, kExportBytes / (stride * sizeof(float)));
  // The samples are numbers `first_sample` and on of the stream; those before its first one are
  // left out.
  const auto send = [&](const ResumableStream& stream, size_t first_sample,
                        const std::vector<std::string>& ids,
                        absl::Span<const float> values) -> absl::Status {
    const size_t first = std::max(stream.first(), first_sample) - first_sample;
    for (size_t begin = first; begin < ids.size(); begin += most) {
      if (cancel.cancelled()) return CancelledQuery();
      const size_t end = std::min(ids.size(), begin + most);
      TraceExportBlock out;
      out.sample_ids.assign(ids.begin() + static_cast<int64_t>(begin),
                            ids.begin() + static_cast<int64_t>(end));
      out.chains = static_cast<uint32_t>(view.active_chains.size());
      out.draws_per_chain = view.draws;
      const auto part = values.subspan(begin * stride, (end - begin) * stride);
      out.values.assign(part.begin(), part.end());
      out.chain_indices = view.active_chains;
      out.resume_token = stream.TokenBefore(first_sample + end);
      BIF_RETURN_IF_ERROR(sink(out));
    }
    return absl::OkStatus();
  };

  if (!request.samples.inline_samples.empty()) {
    BIF_ASSIGN_OR_RETURN(
        QueryRows rows, resolver_.Resolve(request.samples, view, *opened.traces, request.observable,
                                          "samples", kMaxQueries));
    rows.priority = request.priority;
    BIF_ASSIGN_OR_RETURN(const ResumableStream stream,
                         ResumableStream::Open(request.resumption, AnsweredFrom(view, nullptr)));
    const auto quiet = [](const EvaluatedRows&, DrawWindow) { return absl::OkStatus(); };
    BIF_ASSIGN_OR_RETURN(const auto values, TracesOf(rows, opened, request.observable, cancel,
                                                     {quiet, absl::ZeroDuration()}));
    std::vector<std::string> ids;
    for (const QueryRow& row : rows.rows) ids.push_back(row.sample_id);
    return send(stream, 0, ids, values->values());
  }
  BIF_ASSIGN_OR_RETURN(const Candidates samples,
                       reader_.Resolve(request.samples, view, *opened.traces,
                                       opened.traces->ArrayOf(request.observable), "samples"));
  BIF_ASSIGN_OR_RETURN(const ResumableStream stream,
                       ResumableStream::Open(request.resumption, AnsweredFrom(view, &samples)));
  const DrawSelection everything(view.active_chains.size(), view.draws, {0, view.draws}, {});
  CandidateReader::Buffer buffer;
  for (const CandidateBlock& block : BlocksFrom(samples, stream.first())) {
    BIF_ASSIGN_OR_RETURN(const auto values,
                         reader_.Rows(samples, block, view, *opened.traces, everything, buffer));
    BIF_ASSIGN_OR_RETURN(const auto ids, reader_.IdsOf(samples, block));
    BIF_RETURN_IF_ERROR(send(stream, block.begin, ids, values));
  }
  return absl::OkStatus();
}

}  // namespace bif::jobs
