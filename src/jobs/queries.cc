#include "src/jobs/queries.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/jobs/observable_checks.h"
#include "src/jobs/pathwise_checks.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/queries_impl.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/scoring.h"
#include "src/jobs/trace_arrays.h"
#include "src/jobs/trace_operation.h"

namespace bif::jobs {
namespace {

constexpr absl::Duration kCancelPoll = absl::Milliseconds(100);
constexpr uint32_t kProgressParts = 10;  // the first estimate comes after a tenth of the draws
constexpr absl::Duration kScoringTime = absl::Nanoseconds(1);  // of a row's draw, at most

// The traces of one call that are held in memory.
constexpr int64_t kMostTraceBytes = int64_t{1} << 30;

}  // namespace

absl::StatusOr<Queries::Impl::Opened> Queries::Impl::Open(const std::string& posterior,
                                                          const engine::Observable& observable) {
  Opened opened;
  BIF_ASSIGN_OR_RETURN(opened.view, parts_.posteriors.Open(posterior));
  if (opened.view.active_chains.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("every chain of ", posterior,
                     " diverged; sample with a smaller step_size or a larger gamma"));
  }
  BIF_RETURN_IF_ERROR(CheckObservable(observable, opened.view.sources.info));
  BIF_ASSIGN_OR_RETURN(opened.traces,
                       parts_.traces.Get(opened.view.record.number(), opened.view.draws));
  return opened;
}

absl::Status Queries::Impl::Evaluate(const QueryRows& rows, const Opened& opened,
                                     const engine::Observable& observable,
                                     const CancelToken& cancel, const Progress& on_progress,
                                     std::shared_ptr<EvaluatedRows> values) {
  CancelToken stop;  // ends the task whichever way this function is left
  const auto own_queries = static_cast<int64_t>(rows.rows.size());
  waiting_queries_ += own_queries;
  const absl::Cleanup end = [&] {
    stop.Cancel();
    waiting_queries_ -= own_queries;
  };
  BIF_ASSIGN_OR_RETURN(EvaluationSpec spec, resolver_.SpecFor(rows, opened.view, observable));
  BIF_RETURN_IF_ERROR(scans_.Ride({std::move(spec), values, stop, rows.tenant, rows.priority}));
  const uint32_t total = opened.view.draws;
  const uint32_t part = std::max<uint32_t>(2, (total + kProgressParts - 1) / kProgressParts);
  uint32_t next = part;
  // Rankings on the way take at most about a tenth of the time from the work itself. All who wait
  // now would want theirs together.
  absl::Time last_report = absl::Now();
  std::optional<absl::Duration> last_cost;
  while (true) {
    const auto queries = static_cast<double>(waiting_queries_.load());
    const absl::Time next_report =
        last_report + 9 * last_cost.value_or(queries * on_progress.query_cost);
    const absl::Duration early = next_report - absl::Now();
    const EvaluatedRows::State state = early > absl::ZeroDuration()
                                           ? values->Wait(total, std::min(early, kCancelPoll))
                                           : values->Wait(next, kCancelPoll);
    if (cancel.cancelled()) return CancelledQuery();
    if (state.finished) return state.status;
    const absl::Time now = absl::Now();
    if (now < next_report || state.done.count < next) continue;
    BIF_RETURN_IF_ERROR(on_progress.report(*values, state.done));
    next = state.done.count + part;
    last_report = absl::Now();
    last_cost = last_report - now;
  }
}

absl::StatusOr<std::shared_ptr<EvaluatedRows>> Queries::Impl::TracesOf(
    QueryRows& rows, const Opened& opened, const engine::Observable& observable,
    const CancelToken& cancel, const Progress& on_progress) {
  const PosteriorView& view = opened.view;
  int64_t traces = 0;
  for (const QueryRow& row : rows.rows) traces += row.traces;
  const auto draws = static_cast<int64_t>(view.active_chains.size() * view.draws);
  if (traces * draws * static_cast<int64_t>(sizeof(float)) > kMostTraceBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        rows.field, " has ", traces, " traces of ", draws, " draws, more than ",
        kMostTraceBytes >> 20, " MiB; ask for fewer samples or shorter sequences at once"));
  }
  const auto values = rows.NewValues(view.active_chains.size(), view.draws);
  BIF_RETURN_IF_ERROR(resolver_.ReadStored(rows, view, *values));
  const size_t missing = rows.Missing(view.draws).size();
  parts_.counters.query_rows_stored += rows.rows.size() - missing;
  if (missing == 0) return values;
  BIF_RETURN_IF_ERROR(Evaluate(rows, opened, observable, cancel, on_progress, values));
  parts_.counters.query_rows_traced += missing;
  const absl::Status kept = resolver_.Keep(rows, view, *opened.traces, observable, *values);
  // A full disk keeps nothing, but the answer is there.
  if (!kept.ok() && !absl::IsResourceExhausted(kept)) return kept;
  return values;
}

std::string Queries::Impl::AnswerKey(const AttributeRequest& request, const Opened& opened,
                                     const QueryRows& rows, const Candidates& candidates,
                                     int64_t k) {
  if (rows.array == kNoArray) return "";
  std::string key = absl::StrCat(DrawsKey(opened.view), "/", static_cast<int>(request.estimator),
                                 "/", static_cast<int>(request.centring), "/", rows.array, "/", k,
                                 "/", candidates.version, "/", rows.dataset);
  for (const QueryRow& row : rows.rows) {
    if (!row.ordinal) return "";
    absl::StrAppend(&key, ",", *row.ordinal);
  }
  return key;
}

std::string Queries::Impl::RankingKey(const AttributeRequest& request, const Opened& opened,
                                      const Candidates& candidates,
                                      const DrawSelection& selection) {
  return absl::StrCat(DrawsKey(opened.view), "/", static_cast<int>(request.estimator), "/",
                      static_cast<int>(request.centring), "/", candidates.version, "/",
                      selection.all() ? "all" : absl::StrJoin(selection.kept_draws(), ","));
}

absl::StatusOr<AttributeUpdate> Queries::Impl::Answer(const AttributeRequest& request,
                                                      const Opened& opened, const QueryRows& rows,
                                                      const Candidates& candidates,
                                                      const std::vector<uint32_t>& missing_columns,
                                                      const EvaluatedRows& values, DrawWindow done,
                                                      int64_t k, const CancelToken& cancel) {
  const ScoringSettings settings{request.estimator, request.centring, request.observable, true};
  BIF_ASSIGN_OR_RETURN(
      const PreparedScorer prepared,
      PrepareScorer(opened.view, settings, values.values(), done, missing_columns));
  const int sign = attribution::HelpfulSign(request.estimator, IsLoss(request.observable));
  const auto scorer_of = [&](absl::Span<const float> traces) {
    return attribution::Scorer::Create(LayoutOf(opened.view, prepared.selection),
                                       settings.estimator, settings.centring, traces,
                                       settings.standard_errors);
  };
  const auto pass = [&](const attribution::Scorer& scorer, const std::vector<RankingWish>& wishes,
                        absl::FunctionRef<bool()> cancelled) {
    return RankCandidates(reader_, parts_.workers, options_.scoring_threads, candidates,
                          opened.view, *opened.traces, prepared.selection, scorer, wishes,
                          cancelled);
  };
  BIF_ASSIGN_OR_RETURN(
      const auto rankings,
      rankings_.Rank(RankingKey(request, opened, candidates, prepared.selection),
                     {prepared, std::vector<RankingWish>(rows.rows.size(), {k, sign}), cancel},
                     {scorer_of, pass}));
  AttributeUpdate update;
  const auto chains = static_cast<uint32_t>(opened.view.active_chains.size());
  update.draws_done = done.count * chains;
  update.draws_total = opened.view.draws * chains;
  update.provenance = prepared.provenance;
  const double t = prepared.scorer.t_quantile();
  const auto named = [&](const attribution::RankedCandidate& c) -> absl::StatusOr<ScoredSample> {
    BIF_ASSIGN_OR_RETURN(std::string id,
                         reader_.IdOf(candidates.dataset, candidates.rows[c.candidate].ordinal));
    return Scored(std::move(id), c.value, t, sign);
  };
  for (size_t q = 0; q < rankings.size(); ++q) {
    QueryRanking& ranking = update.rankings.emplace_back();
    ranking.query = static_cast<uint32_t>(q);
    if (!rows.is_inline) ranking.sample_id = rows.rows[q].sample_id;
    ranking.helpful_stability = rankings[q].helpful_stability;
    ranking.harmful_stability = rankings[q].harmful_stability;
    for (const auto& c : rankings[q].helpful) {
      BIF_ASSIGN_OR_RETURN(ScoredSample sample, named(c));
      ranking.helpful.push_back(std::move(sample));
    }
    for (const auto& c : rankings[q].harmful) {
      BIF_ASSIGN_OR_RETURN(ScoredSample sample, named(c));
      ranking.harmful.push_back(std::move(sample));
    }
  }
  return update;
}

absl::StatusOr<int64_t> Queries::Impl::TopKOf(const AttributeRequest& request,
                                              const Candidates& candidates) {
  const auto count = static_cast<int64_t>(candidates.rows.size());
  if (request.top_k > count) {
    return FieldError("top_k",
                      absl::StrCat("is ", request.top_k, ", there are ", count, " candidates"));
  }
  return request.top_k != 0 ? request.top_k : std::min<int64_t>(kDefaultTopK, count);
}

absl::Status Queries::Impl::Attribute(
    const AttributeRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink) {
  BIF_RETURN_IF_ERROR(CheckPathwise(request.estimator, request.pathwise, request.refine));
  if (attribution::NeedsSlopes(request.estimator))
    return AttributeWithSlopes(request, cancel, sink);
  if (request.refine.has_value()) return Refine(request, cancel, sink);
  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, request.observable));
  const PosteriorView& view = opened.view;
  BIF_ASSIGN_OR_RETURN(QueryRows rows,
                       resolver_.Resolve(request.queries, view, *opened.traces, request.observable,
                                         "queries", kMaxQueries));
  rows.priority = request.priority;
  BIF_ASSIGN_OR_RETURN(
      Candidates candidates,
      reader_.Resolve(request.candidates, view, *opened.traces, kLossArray, "candidates"));
  BIF_ASSIGN_OR_RETURN(const int64_t k, TopKOf(request, candidates));

  const size_t missing_rows = rows.Missing(view.draws).size();
  if (missing_rows == 0) {
    if (const auto known = answers_.Find(AnswerKey(request, opened, rows, candidates, k))) {
      parts_.counters.query_rows_stored += rows.rows.size();
      return sink(**known);
    }
  }
  BIF_ASSIGN_OR_RETURN(const auto missing_columns,
                       reader_.MissingColumnsOf(candidates, view, *opened.traces));
  const auto report = [&](const EvaluatedRows& values, DrawWindow done) -> absl::Status {
    absl::StatusOr<AttributeUpdate> update =
        Answer(request, opened, rows, candidates, missing_columns, values, done, k, cancel);
    if (absl::IsDataLoss(update.status()))
      return absl::OkStatus();  // too few readable draws so far
    BIF_RETURN_IF_ERROR(update.status());
    update->rows_evaluated = missing_rows;
    return sink(*update);
  };
  const absl::Duration ranking_cost =  // of a query
      static_cast<double>(candidates.rows.size()) *
      static_cast<double>(view.active_chains.size() * view.draws) * kScoringTime;
  const absl::Time asked = absl::Now();
  BIF_ASSIGN_OR_RETURN(const auto values, TracesOf(rows, opened, request.observable, cancel,
                                                   Progress{report, ranking_cost}));
  const absl::Time begun = std::max(asked, values->begun());
  const absl::Time evaluated = absl::Now();
  BIF_ASSIGN_OR_RETURN(AttributeUpdate final_update,
                       Answer(request, opened, rows, candidates, missing_columns, *values,
                              {0, view.draws}, k, cancel));
  final_update.final = true;
  if (const std::string key = AnswerKey(request, opened, rows, candidates, k); !key.empty()) {
    answers_.Insert(key, std::make_shared<const AttributeUpdate>(final_update), 1);
  }
  // What is kept of the answer holds for whoever asks again; these do not.
  final_update.rows_evaluated = missing_rows;
  final_update.queue_time = begun - asked;
  final_update.evaluation_time = evaluated - begun;
  final_update.scoring_time = absl::Now() - evaluated;
  return sink(final_update);
}

absl::StatusOr<Operation> Queries::Impl::TraceSamples(const TraceSamplesRequest& request) {
  // Ahead of all checks, and over what was asked: the posterior may be sampled further by now, or
  // its samples gone, and a client whose answer was lost is to get it.
  Sha256 digest;
  digest.UpdateField("TraceSamples");
  digest.UpdateField(request.posterior);
  digest.UpdateField(request.dataset);
  for (const std::string& id : request.sample_ids) digest.UpdateField(id);
  if (request.tokens) digest.UpdateField("granularity TOKEN");
  const Digest body_digest = digest.Finish();
  const auto answered_before = [&]() -> absl::StatusOr<std::optional<Operation>> {
    BIF_ASSIGN_OR_RETURN(const auto known, request_ids_.Find(request.request, body_digest));
    if (!known) return std::nullopt;
    return parts_.operations.Get(*known);
  };
  BIF_ASSIGN_OR_RETURN(const std::optional<Operation> before, answered_before());
  if (before) return *before;

  BIF_ASSIGN_OR_RETURN(const Opened opened, Open(request.posterior, {}));
  if (request.tokens) BIF_RETURN_IF_ERROR(CheckGranularity(opened.view.sources.info));
  BIF_ASSIGN_OR_RETURN(const auto record, parts_.datasets.Record(request.dataset, "dataset"));
  // All checks of a query on this dataset hold here too.
  SampleSet set;
  set.dataset = request.dataset;
  set.sample_ids = request.sample_ids;
  if (!set.sample_ids.empty() || record.rows() - record.deleted() == 0) {
    BIF_RETURN_IF_ERROR(
        resolver_
            .Resolve(set, opened.view, *opened.traces, {}, "", std::numeric_limits<int64_t>::max())
            .status());
  }
  storage::pb::TraceRequest body;
  body.set_dataset(record.id());
  body.set_tokens(request.tokens);
  body.set_priority(request.priority);
  BIF_ASSIGN_OR_RETURN(const auto ordinals, parts_.datasets.OrdinalsOf(record, request.sample_ids));
  for (uint32_t ordinal : ordinals) body.add_ordinals(ordinal);

  absl::MutexLock lock(&request_mutex_);
  // Once more: the same call may have come twice at once.
  BIF_ASSIGN_OR_RETURN(const std::optional<Operation> meanwhile, answered_before());
  if (meanwhile) return *meanwhile;
  BIF_ASSIGN_OR_RETURN(const std::string id, parts_.operations.NewId(request.request.tenant));
  storage::WriteSet writes;
  request_ids_.Remember(request.request, body_digest, OperationName(id), parts_.clock.Now(),
                        writes);
  BIF_ASSIGN_OR_RETURN(auto operation,
                       parts_.operations.Create(id, kTraceOperation, opened.view.record.key(),
                                                body.SerializeAsString(), std::move(writes)));
  if (const absl::Status started = StartTracing(operation, request.posterior); !started.ok()) {
    operation->Finish(started, {});
  }
  return parts_.operations.Get(OperationName(id));
}

absl::Status Queries::Impl::StartTracing(std::shared_ptr<RunningOperation> operation,
                                         const std::string& posterior) {
  storage::pb::TraceRequest body;
  if (!body.ParseFromString(operation->request()))
    return absl::DataLossError("the operation's request cannot be read");
  BIF_ASSIGN_OR_RETURN(Opened opened, Open(posterior, {}));
  BIF_ASSIGN_OR_RETURN(const auto record,
                       parts_.datasets.Record(DatasetName(body.dataset()), "dataset"));
  std::vector<uint32_t> ordinals(body.ordinals().begin(), body.ordinals().end());
  BIF_ASSIGN_OR_RETURN(const std::vector<uint32_t> living, parts_.datasets.LivingOrdinals(record));
  if (ordinals.empty()) ordinals = living;
  // After a restart some may have been deleted.
  std::erase_if(ordinals,
                [&](uint32_t o) { return !std::binary_search(living.begin(), living.end(), o); });
  const TraceJobParts job{parts_.store, parts_.posteriors, parts_.models, draws_, parts_.counters};
  const DeviceClaim claim{Priority::kTrace, TenantOf(operation->id()), body.priority()};
  return parts_.executor.Submit(
      claim,
      MakeTraceTask(job, std::move(operation), std::move(opened.view), std::move(opened.traces),
                    record.number(), std::move(ordinals), body.tokens()));
}

absl::Status Queries::Impl::Recover() {
  for (const auto& operation : parts_.operations.TakeUnfinished(kTraceOperation)) {
    const absl::Status started = StartTracing(operation, PosteriorName(operation->target_key()));
    if (!started.ok()) operation->Finish(started, {});
  }
  return absl::OkStatus();
}

Queries::Queries(const Parts& parts, const Options& options)
    : impl_(std::make_unique<Impl>(parts, options)) {}
Queries::~Queries() = default;

absl::Status Queries::Recover() { return impl_->Recover(); }

absl::Status Queries::Attribute(const AttributeRequest& request, const CancelToken& cancel,
                                absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink) {
  return impl_->Attribute(request, cancel, sink);
}
absl::Status Queries::ScoreMatrix(const ScoreMatrixRequest& request, const CancelToken& cancel,
                                  absl::FunctionRef<absl::Status(const ScoreBlock&)> sink) {
  return impl_->ScoreMatrix(request, cancel, sink);
}
absl::Status Queries::SelfInfluence(
    const SelfInfluenceRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const SelfInfluenceBlock&)> sink) {
  return impl_->SelfInfluence(request, cancel, sink);
}
absl::Status Queries::TokenInfluence(
    const TokenInfluenceRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const TokenInfluenceBlock&)> sink) {
  return impl_->TokenInfluence(request, cancel, sink);
}
absl::StatusOr<GroupInfluenceAnswer> Queries::GroupInfluence(const GroupInfluenceRequest& request,
                                                             const CancelToken& cancel) {
  return impl_->GroupInfluence(request, cancel);
}
absl::Status Queries::ExportTraces(const ExportTracesRequest& request, const CancelToken& cancel,
                                   absl::FunctionRef<absl::Status(const TraceExportBlock&)> sink) {
  return impl_->ExportTraces(request, cancel, sink);
}
absl::StatusOr<Operation> Queries::TraceSamples(const TraceSamplesRequest& request) {
  return impl_->TraceSamples(request);
}

int64_t Queries::cached_draw_bytes() const { return impl_->cached_draw_bytes(); }

}  // namespace bif::jobs
