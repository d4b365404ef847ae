// Scores from slopes: the estimators PATHWISE and MIXED, for rankings and for score matrices.
#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/jobs/queries_impl.h"

namespace bif::jobs {
namespace {

constexpr int64_t kMostSlopeBytes = int64_t{1} << 30;    // of one call, in memory
constexpr int64_t kOpenTangentBytes = int64_t{1} << 30;  // of stretches that go on side by side
constexpr int64_t kProgressParts = 10;

}  // namespace

absl::StatusOr<TangentQuestion> Queries::Impl::QuestionOf(const Asked& asked,
                                                          const SlopePlan& plan) {
  TangentQuestion question;
  question.view = asked.opened.view;
  question.observable = asked.observable;
  BIF_ASSIGN_OR_RETURN(question.queries, resolver_.SamplesOf(asked.rows));
  question.candidates = asked.candidates;
  question.plan = plan.plan;
  question.most_open = MostOpen(asked);
  return question;
}

size_t Queries::Impl::MostOpen(const Asked& asked) {
  const int64_t bytes = std::max<int64_t>(1, static_cast<int64_t>(asked.rows.rows.size()) *
                                                 asked.opened.view.moving.elements *
                                                 static_cast<int64_t>(sizeof(float)));
  return static_cast<size_t>(std::max<int64_t>(1, kOpenTangentBytes / bytes));
}

absl::StatusOr<std::shared_ptr<const Queries::Impl::KnownSlopes>> Queries::Impl::SlopesOf(
    const Asked& asked, const attribution::TangentRelaxation& relaxation, int64_t draws,
    const CancelToken& cancel, SlopeProgress progress) {
  const std::string key = PairsKey(asked);
  const std::string full_key = key.empty() ? "" : absl::StrCat(key, "/slopes", draws);
  if (!full_key.empty()) {
    if (const auto known = slopes_.Find(full_key)) {
      auto again = std::make_shared<KnownSlopes>(**known);
      again->provenance.forward_passes = 0;
      again->waited = absl::ZeroDuration();
      return again;
    }
  }
  const auto queries = static_cast<int64_t>(asked.rows.rows.size());
  const auto rows = static_cast<int64_t>(asked.candidates.rows.size());
  const double bytes = static_cast<double>(queries) * static_cast<double>(rows) *
                       static_cast<double>(draws) * sizeof(float);
  if (bytes > static_cast<double>(kMostSlopeBytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the slopes of ", queries, " queries and ", rows, " candidates at ", draws,
        " draws take more than ", kMostSlopeBytes >> 20,
        " MiB; ask for fewer queries, candidates or pathwise.draws at once, or refine a top k"));
  }
  BIF_ASSIGN_OR_RETURN(const SlopePlan plan,
                       PlanSlopes(parts_.store, asked.opened.view, relaxation,
                                  {.queries = queries, .rows = rows, .draws = draws}));
  auto known = std::make_shared<KnownSlopes>();
  known->table.plan = plan.plan;
  known->table.queries = queries;
  known->provenance = PathwiseProvenanceOf(asked.opened.view, plan, relaxation);
  BIF_ASSIGN_OR_RETURN(TangentQuestion question, QuestionOf(asked, plan));
  const auto together =
      static_cast<int64_t>(std::min(question.most_open, plan.plan.stretches.size()));
  TangentRun run(parts_.executor, {Priority::kInteractive, asked.rows.tenant, asked.rows.priority},
                 SessionParts(), std::move(question));
  std::vector<uint32_t> all(static_cast<size_t>(rows));
  std::iota(all.begin(), all.end(), 0);
  const int64_t laps =
      (std::max(together, (draws + kProgressParts - 1) / kProgressParts) + together - 1) / together;
  for (int64_t taken = 0; taken < draws;) {
    const auto round =
        std::make_shared<SlopeRound>(all, queries, std::min(laps * together, draws - taken));
    int64_t reported = 0;
    BIF_RETURN_IF_ERROR(run.Take({.round = round}, cancel, [&](int64_t now) -> absl::Status {
      if (now == std::exchange(reported, now)) return absl::OkStatus();
      return progress(*known, taken + now);
    }));
    known->waited = run.waited();
    known->Add(run.session(), round);
    taken += static_cast<int64_t>(round->stretches.size());
    if (static_cast<int64_t>(round->stretches.size()) < round->most_draws) break;  // no more
    BIF_RETURN_IF_ERROR(progress(*known, taken));
  }
  if (!full_key.empty()) slopes_.Insert(full_key, known, known->table.bytes());
  return known;
}

absl::Status Queries::Impl::AttributeWithSlopes(
    const AttributeRequest& request, const CancelToken& cancel,
    absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink) {
  BIF_ASSIGN_OR_RETURN(Asked asked,
                       AskForPairs(request.posterior, request.queries, request.candidates,
                                   request.observable, request.centring, request.priority));
  BIF_ASSIGN_OR_RETURN(const int64_t k, TopKOf(request, asked.candidates));
  BIF_ASSIGN_OR_RETURN(const attribution::TangentRelaxation relaxation,
                       RelaxationOf(parts_.store, asked.opened.view));
  const int64_t draws = request.pathwise.wanted();
  const absl::Time begun = absl::Now();
  BIF_ASSIGN_OR_RETURN(const TracesPart traces, TracesPartOf(asked, request.estimator, cancel));
  absl::Duration scoring;
  const auto answer = [&](const KnownSlopes& slopes) -> absl::StatusOr<AttributeUpdate> {
    const absl::Time start = absl::Now();
    BIF_ASSIGN_OR_RETURN(const PairAnswer pairs,
                         PairsFrom(asked, request.estimator, slopes, traces.scores));
    BIF_ASSIGN_OR_RETURN(AttributeUpdate update, RankedUpdate(asked, pairs, traces.provenance, k));
    update.slope_draws_total = static_cast<uint32_t>(draws);
    update.slope_draws_done = pairs.provenance.draws;
    scoring = absl::Now() - start;
    return update;
  };
  // Rankings on the way take at most about a tenth of the time.
  absl::Time last_ranking = begun;
  const auto progress = [&](const KnownSlopes& slopes, int64_t done) -> absl::Status {
    if (!slopes.table.rounds.empty() && absl::Now() - last_ranking >= 9 * scoring &&
        done == DrawsOf(slopes.table)) {
      absl::StatusOr<AttributeUpdate> update = answer(slopes);
      if (absl::IsFailedPrecondition(update.status())) return absl::OkStatus();  // none so far
      BIF_RETURN_IF_ERROR(update.status());
      last_ranking = absl::Now();
      return sink(*update);
    }
    AttributeUpdate update;
    update.provenance = traces.provenance;
    update.slope_draws_done = static_cast<uint32_t>(done);
    update.slope_draws_total = static_cast<uint32_t>(draws);
    return sink(update);
  };
  BIF_ASSIGN_OR_RETURN(const auto slopes, SlopesOf(asked, relaxation, draws, cancel, progress));
  const absl::Time evaluated = absl::Now();
  BIF_ASSIGN_OR_RETURN(AttributeUpdate last, answer(*slopes));
  last.final = true;
  last.queue_time = slopes->waited;
  last.evaluation_time = evaluated - begun - slopes->waited;
  last.scoring_time = scoring;
  return sink(last);
}

}  // namespace bif::jobs
