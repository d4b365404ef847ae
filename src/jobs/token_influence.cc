// Queries::TokenInfluence: the scores between the tokens of one training sequence and those of one
// query.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/attribution/token_matrix.h"
#include "src/base/status.h"
#include "src/jobs/parallel_for.h"
#include "src/jobs/pathwise_checks.h"
#include "src/jobs/queries_impl.h"
#include "src/jobs/scoring.h"

namespace bif::jobs {
namespace {

constexpr int64_t kBlockBytes = 1 << 20;
constexpr int64_t kRowsAtOnce = 16;  // of one thread

constexpr engine::Observable kTokens{engine::ObservableKind::kTokenLosses};

// Positions [begin, end) of a query of so many token losses, whose last position is just that.
struct TokenSpan {
  uint32_t begin = 0;
  uint32_t end = 0;
};
absl::StatusOr<TokenSpan> SpanOf(const TokenInfluenceRequest& request, uint32_t losses) {
  const uint32_t tokens = losses + 1;
  const TokenSpan span{std::max(request.span_begin, 1u),
                       request.span_end == 0 ? tokens : request.span_end};
  if (span.end > tokens) {
    return FieldError("span_end",
                      absl::StrCat("is ", span.end, "; the query has ", tokens, " tokens"));
  }
  if (span.begin >= span.end) {
    return FieldError("span_begin", absl::StrCat("is ", span.begin, ", and the span ends at ",
                                                 span.end, "; no token is left"));
  }
  return span;
}

// The numbers of a block of rows, in the order in which they are sent.
TokenInfluenceBlock ToBlock(uint32_t first_row, uint32_t columns, bool standard_errors,
                            const std::vector<attribution::ScoreValue>& entries,
                            const std::vector<attribution::ScoreValue>& completions) {
  TokenInfluenceBlock block;
  block.first_row = first_row;
  block.columns = columns;
  for (const auto& value : entries) block.scores.push_back(value.score);
  for (const auto& value : completions) block.completion_scores.push_back(value.score);
  if (!standard_errors) return block;
  for (const auto& value : entries) block.standard_errors.push_back(value.standard_error);
  for (const auto& value : completions)
    block.completion_standard_errors.push_back(value.standard_error);
  return block;
}

}  // namespace

absl::Status Queries::Impl::TokenInfluence(
    const TokenInfluenceRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const TokenInfluenceBlock&)> sink) {
  BIF_RETURN_IF_ERROR(RefusePathwise(request.estimator, "single tokens"));
  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, {}));
  const PosteriorView& view = opened.view;
  if (!view.sources.info.sequences) {
    return FieldError("posterior",
                      "has one loss a sample: its program's samples are no sequences of tokens");
  }
  // Everything that can be wrong with either is found before anything is evaluated.
  BIF_ASSIGN_OR_RETURN(QueryRows training, resolver_.Resolve(request.training, view, *opened.traces,
                                                             kTokens, "training", 1));
  BIF_ASSIGN_OR_RETURN(QueryRows query,
                       resolver_.Resolve(request.query, view, *opened.traces, kTokens, "query", 1));
  BIF_ASSIGN_OR_RETURN(const TokenSpan span, SpanOf(request, query.rows[0].traces));

  TokenInfluenceSummary summary;
  const auto quiet = [](const EvaluatedRows&, DrawWindow) { return absl::OkStatus(); };
  const auto traces_of = [&](QueryRows& rows) {
    rows.priority = request.priority;
    summary.sequences_evaluated += static_cast<uint32_t>(rows.Missing(view.draws).size());
    return TracesOf(rows, opened, kTokens, cancel, {quiet, absl::ZeroDuration()});
  };
  BIF_ASSIGN_OR_RETURN(const auto training_values, traces_of(training));
  // The two may be the same sample: then the second has its traces by now.
  BIF_ASSIGN_OR_RETURN(query,
                       resolver_.Resolve(request.query, view, *opened.traces, kTokens, "query", 1));
  BIF_ASSIGN_OR_RETURN(const auto query_values, traces_of(query));

  const size_t stride = view.active_chains.size() * view.draws;
  const absl::Span<const float> row_traces = training_values->values();
  const absl::Span<const float> column_traces =
      query_values->values().subspan((span.begin - 1) * stride, (span.end - span.begin) * stride);
  BIF_ASSIGN_OR_RETURN(const ChosenDraws chosen,
                       ChooseDraws(view, {0, view.draws}, {row_traces, column_traces}, {}));
  BIF_ASSIGN_OR_RETURN(const auto matrix,
                       attribution::TokenMatrix::Create(
                           LayoutOf(view, chosen.selection), request.estimator, request.centring,
                           Gather(view, chosen.selection, row_traces),
                           Gather(view, chosen.selection, column_traces), request.standard_errors));

  summary.provenance = ProvenanceOf(view, chosen.selection, chosen.unreadable);
  summary.provenance.estimator = request.estimator;
  summary.provenance.centring = request.centring;
  summary.provenance.jackknife_blocks =
      request.standard_errors ? static_cast<uint32_t>(matrix.blocks()) : 0;
  summary.rows = static_cast<uint32_t>(matrix.rows());
  summary.first_column = span.begin;
  summary.sequence_score =
      Scored(training.is_inline ? "" : training.rows[0].sample_id, matrix.total(),
             matrix.t_quantile(), attribution::HelpfulSign(request.estimator, true));

  const int64_t columns = matrix.columns();
  const int64_t row_bytes = (columns + 1) * static_cast<int64_t>(2 * sizeof(float));
  const int64_t rows_a_block = std::max<int64_t>(1, kBlockBytes / row_bytes);
  std::vector<attribution::ScoreValue> entries;
  std::vector<attribution::ScoreValue> completions;
  for (int64_t first = 0; first < matrix.rows(); first += rows_a_block) {
    const int64_t rows = std::min(rows_a_block, matrix.rows() - first);
    entries.resize(rows * columns);
    completions.resize(rows);
    BIF_RETURN_IF_ERROR(ParallelFor(
        parts_.workers, options_.scoring_threads,
        static_cast<size_t>((rows + kRowsAtOnce - 1) / kRowsAtOnce),
        [&](int, size_t part) -> absl::Status {
          if (cancel.cancelled()) return CancelledQuery();
          const int64_t begin = static_cast<int64_t>(part) * kRowsAtOnce;
          const int64_t count = std::min(kRowsAtOnce, rows - begin);
          matrix.Score(first + begin, count,
                       absl::MakeSpan(entries).subspan(begin * columns, count * columns),
                       absl::MakeSpan(completions).subspan(begin, count));
          return absl::OkStatus();
        }));
    TokenInfluenceBlock block =
        ToBlock(static_cast<uint32_t>(first), static_cast<uint32_t>(columns),
                request.standard_errors, entries, completions);
    block.summary = &summary;
    BIF_RETURN_IF_ERROR(sink(block));
  }
  return absl::OkStatus();
}

}  // namespace bif::jobs
