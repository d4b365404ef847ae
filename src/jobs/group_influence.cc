// Queries::GroupInfluence: a set of samples scored as one, by the sum of its members' traces.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/attribution/group.h"
#include "src/base/status.h"
#include "src/jobs/observable_checks.h"
#include "src/jobs/parallel_for.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/queries_impl.h"
#include "src/jobs/scoring.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

absl::Status CheckGroup(const SampleSet& group) {
  if (!group.inline_samples.empty()) {
    return FieldError("group.inline",
                      "only stored samples can be members: append them to a dataset and call "
                      "TraceSamples");
  }
  if (group.sample_ids.empty())
    return FieldError("group.sample_ids", "is empty; a group needs at least one member");
  const auto ids = static_cast<int64_t>(group.sample_ids.size());
  if (ids > kMaxGroupMembers) {
    return FieldError("group.sample_ids", absl::StrCat("holds ", ids, " samples, at most ",
                                                       kMaxGroupMembers, " are allowed"));
  }
  return absl::OkStatus();
}

// Only what the posterior was sampled with can be taken out of it.
bool AllAreTrainingRows(const Candidates& group, const PosteriorView& view,
                        uint32_t training_dataset) {
  const int64_t training_rows = TrainingRowCount(view.record);
  return group.dataset == training_dataset &&
         std::all_of(group.rows.begin(), group.rows.end(), [&](const TracedRow& row) {
           return static_cast<int64_t>(row.slot) < training_rows;
         });
}

}  // namespace

absl::StatusOr<GroupInfluenceAnswer> Queries::Impl::GroupInfluence(
    const GroupInfluenceRequest& request, const CancelToken& cancel) {
  BIF_RETURN_IF_ERROR(CheckGroup(request.group));
  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, request.observable));
  const PosteriorView& view = opened.view;
  BIF_ASSIGN_OR_RETURN(QueryRows rows,
                       resolver_.Resolve(request.queries, view, *opened.traces, request.observable,
                                         "queries", kMaxQueries));
  rows.priority = request.priority;
  BIF_ASSIGN_OR_RETURN(const Candidates group,
                       reader_.Resolve(request.group, view, *opened.traces, kLossArray, "group"));
  GroupInfluenceAnswer answer;
  answer.members = group.rows.size();
  answer.repeated_ids = request.group.sample_ids.size() - group.rows.size();
  answer.rows_evaluated = rows.Missing(view.draws).size();
  const auto quiet = [](const EvaluatedRows&, DrawWindow) { return absl::OkStatus(); };
  BIF_ASSIGN_OR_RETURN(const auto values, TracesOf(rows, opened, request.observable, cancel,
                                                   {quiet, absl::ZeroDuration()}));
  BIF_ASSIGN_OR_RETURN(const auto missing_columns,
                       reader_.MissingColumnsOf(group, view, *opened.traces));
  ScoringSettings settings{attribution::Estimator::kBif, request.centring, request.observable,
                           true};
  BIF_ASSIGN_OR_RETURN(PreparedScorer prepared, PrepareScorer(view, settings, values->values(),
                                                              {0, view.draws}, missing_columns));

  // Blocks are summed side by side and added up in order, so that the same question has the same
  // answer bit for bit.
  const auto stride = static_cast<int64_t>(prepared.selection.stride());
  const std::vector<CandidateBlock> blocks = BlocksOf(group);
  std::vector<CandidateReader::Buffer> buffers(std::max(1, options_.scoring_threads));
  using BlockSum = std::optional<attribution::GroupTrace>;
  const auto add_up = [&](int worker, size_t b) -> absl::StatusOr<BlockSum> {
    if (cancel.cancelled()) return CancelledQuery();
    BIF_ASSIGN_OR_RETURN(const auto traces, reader_.Rows(group, blocks[b], view, *opened.traces,
                                                         prepared.selection, buffers[worker]));
    attribution::GroupTrace sum(stride);
    for (size_t i = 0; i < blocks[b].end - blocks[b].begin; ++i)
      sum.Add(traces.subspan(i * stride, stride));
    return BlockSum(std::move(sum));
  };
  attribution::GroupTrace total(stride);
  BIF_RETURN_IF_ERROR(ParallelInOrder<BlockSum>(parts_.workers, options_.scoring_threads,
                                                blocks.size(), add_up, [&](const BlockSum& sum) {
                                                  total.Merge(*sum);
                                                  return absl::OkStatus();
                                                }));

  const std::vector<float> trace = total.Row(/*centred=*/true);
  BIF_ASSIGN_OR_RETURN(const auto correlations,
                       attribution::Scorer::Create(LayoutOf(view, prepared.selection),
                                                   attribution::Estimator::kNormalizedBif,
                                                   request.centring, prepared.traces));
  std::vector<attribution::ScoreValue> scores(rows.rows.size()), normalized(rows.rows.size());
  prepared.scorer.Score(trace, absl::MakeSpan(scores));
  correlations.Score(trace, absl::MakeSpan(normalized));

  BIF_ASSIGN_OR_RETURN(const auto training, parts_.store.catalog().Get<storage::pb::DatasetRecord>(
                                                storage::DatasetKey(view.record.dataset())));
  const bool removable = AllAreTrainingRows(group, view, training.number());
  const int sign =
      attribution::HelpfulSign(attribution::Estimator::kBif, IsLoss(request.observable));
  for (size_t q = 0; q < rows.rows.size(); ++q) {
    GroupScore score;
    score.query = static_cast<uint32_t>(q);
    if (!rows.is_inline) score.sample_id = rows.rows[q].sample_id;
    score.score = Scored("", scores[q], prepared.scorer.t_quantile(), sign);
    score.normalized = Scored("", normalized[q], correlations.t_quantile(), sign);
    if (removable) {
      BIF_ASSIGN_OR_RETURN(
          score.removal,
          attribution::PredictRemoval(scores[q], attribution::Estimator::kBif, view.settings.nbeta,
                                      TrainingRowCount(view.record), prepared.scorer.t_quantile()));
    }
    answer.scores.push_back(std::move(score));
  }
  answer.provenance = std::move(prepared.provenance);
  return answer;
}

}  // namespace bif::jobs
