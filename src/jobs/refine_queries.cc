// A top k in two stages: scores of all candidates from traces, then slopes for those that could
// still be among the best, round by round, while the budget lasts.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/jobs/queries_impl.h"
#include "src/jobs/refinement.h"

namespace bif::jobs {
namespace {

constexpr int kMostRounds = 64;
constexpr double kRoundBytes = double{256 << 20};

// Passes, or seconds that buy passes at the speed that was seen.
class Budget {
 public:
  Budget(const RefineSpec& spec, Clock& clock)
      : spec_(spec),
        clock_(clock),
        start_(clock.Now()),
        deadline_(spec.time.has_value() ? start_ + *spec.time : absl::InfiniteFuture()) {}

  absl::Time deadline() const { return deadline_; }
  bool over() const { return clock_.Now() >= deadline_; }
  // Of each pass so far; nullopt: none was made, or no time went by.
  std::optional<absl::Duration> Speed(double spent) const {
    const absl::Duration elapsed = clock_.Now() - start_;
    if (spent <= 0 || elapsed <= absl::ZeroDuration()) return std::nullopt;
    return elapsed / spent;
  }
  // nullopt: not known yet.
  std::optional<double> PassesLeft(double spent) const {
    if (!spec_.time.has_value()) {
      return std::max(0.0, static_cast<double>(spec_.forward_passes) - spent);
    }
    const std::optional<absl::Duration> speed = Speed(spent);
    if (!speed.has_value()) return std::nullopt;
    return std::max(0.0, absl::FDivDuration(deadline_ - clock_.Now(), *speed));
  }
  double ShareUsed(double spent) const {
    const double share = spec_.time.has_value()
                             ? absl::FDivDuration(clock_.Now() - start_, *spec_.time)
                             : spent / static_cast<double>(spec_.forward_passes);
    return std::min(1.0, share);
  }
  absl::Status TooSmall(double one_draw, double spent, int64_t rows) const {
    if (!spec_.time.has_value()) {
      return FieldError("refine.forward_passes",
                        absl::StrFormat("is %d; one draw costs %.0f (a tangent's burn-in, and "
                                        "slopes of %d candidates)",
                                        spec_.forward_passes, one_draw, rows));
    }
    const std::optional<absl::Duration> speed = Speed(spent);
    return FieldError(
        "refine.time",
        absl::StrCat(absl::FormatDuration(*spec_.time), " were over before the first slope; one ",
                     "draw costs ", static_cast<int64_t>(one_draw), " forward passes",
                     speed.has_value()
                         ? absl::StrCat(", about ",
                                        absl::FormatDuration(
                                            absl::Trunc(one_draw * *speed, absl::Milliseconds(1))),
                                        " here")
                         : std::string()));
  }

 private:
  const RefineSpec& spec_;
  Clock& clock_;
  const absl::Time start_;
  const absl::Time deadline_;
};

std::string KeyOf(const AttributeRequest& request, const std::string& pairs, int64_t k) {
  const RefineSpec& refine = *request.refine;
  return absl::StrCat(pairs, "/refine", static_cast<int>(refine.estimator), ",",
                      absl::ToInt64Nanoseconds(refine.time.value_or(absl::ZeroDuration())), ",",
                      refine.forward_passes, ",", refine.simultaneous, ",", k, ",",
                      static_cast<int>(request.centring));
}

// Queries that have no stretch left.
std::vector<bool> LostQueries(const std::vector<std::vector<bool>>& lost) {
  std::vector<bool> queries;
  for (const std::vector<bool>& of_query : lost) {
    queries.push_back(
        std::all_of(of_query.begin(), of_query.end(), [](bool is_lost) { return is_lost; }));
  }
  return queries;
}

}  // namespace

absl::Status Queries::Impl::Refine(const AttributeRequest& request, const CancelToken& cancel,
                                   absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink) {
  const RefineSpec& refine = *request.refine;
  BIF_ASSIGN_OR_RETURN(Asked asked,
                       AskForPairs(request.posterior, request.queries, request.candidates,
                                   request.observable, request.centring, request.priority));
  BIF_ASSIGN_OR_RETURN(const int64_t k, TopKOf(request, asked.candidates));
  BIF_ASSIGN_OR_RETURN(const attribution::TangentRelaxation relaxation,
                       RelaxationOf(parts_.store, asked.opened.view));
  const absl::Time begun = absl::Now();
  BIF_ASSIGN_OR_RETURN(const TracesPart traces,
                       TracesPartOf(asked, attribution::Estimator::kBif, cancel));
  const std::string pairs_key = PairsKey(asked);
  const std::string key = pairs_key.empty() ? "" : KeyOf(request, pairs_key, k);
  if (!key.empty()) {
    if (const auto known = answers_.Find(key)) return sink(**known);
  }
  const auto queries = static_cast<int64_t>(asked.rows.rows.size());

  // The first stage is an answer of its own.
  const Budget budget(refine, parts_.clock);
  KnownSlopes slopes;
  slopes.table.queries = queries;
  PairAnswer pairs;
  for (const TraceScores& scores : traces.scores) pairs.scores.push_back(PairScoresOf(scores));
  std::vector<ContendersOfBoth> contenders(static_cast<size_t>(queries));
  const auto compare = [&] {
    for (size_t q = 0; q < contenders.size(); ++q) {
      contenders[q] = FindContendersOfBoth(pairs.scores[q], k, asked.sign, refine.simultaneous);
    }
  };
  compare();
  std::vector<uint32_t> in_doubt =
      RowsInDoubt(contenders, std::vector<bool>(contenders.size(), false));

  BIF_ASSIGN_OR_RETURN(
      const SlopePlan plan,
      PlanSlopes(parts_.store, asked.opened.view, relaxation,
                 {.queries = queries,
                  .rows = std::max<int64_t>(1, static_cast<int64_t>(in_doubt.size())),
                  .draws = kDefaultSlopeDraws,
                  .most_stretches = static_cast<int64_t>(MostOpen(asked))}));
  slopes.table.plan = plan.plan;
  slopes.table.lost.assign(static_cast<size_t>(queries),
                           std::vector<bool>(plan.plan.stretches.size()));
  slopes.provenance = pairs.provenance = PathwiseProvenanceOf(asked.opened.view, plan, relaxation);
  const ReplayCost cost = CostOfReplay(asked.opened.view.settings.batch_size, queries);
  RefinementPlanner planner(plan.plan, cost, k);
  double spent = 0;
  const auto update_now = [&]() -> absl::StatusOr<AttributeUpdate> {
    BIF_ASSIGN_OR_RETURN(AttributeUpdate update,
                         RankedUpdate(asked, pairs, traces.provenance, k, &contenders));
    update.slope_draws_done = pairs.provenance.draws;
    update.budget_used = budget.ShareUsed(spent);
    return update;
  };
  if (!in_doubt.empty()) {
    BIF_ASSIGN_OR_RETURN(const AttributeUpdate first, update_now());
    BIF_RETURN_IF_ERROR(sink(first));
  }

  BIF_ASSIGN_OR_RETURN(TangentQuestion question, QuestionOf(asked, plan));
  TangentRun run(parts_.executor, {Priority::kInteractive, asked.rows.tenant, asked.rows.priority},
                 SessionParts(), std::move(question));
  for (int n = 0; n < kMostRounds && !in_doubt.empty(); ++n) {
    const std::optional<double> left = budget.PassesLeft(spent);
    const auto doubtful = static_cast<int64_t>(in_doubt.size());
    RefinementStep step =
        left.has_value() ? planner.Next(doubtful, *left) : planner.Probe(doubtful);
    if (step.rows == 0 && spent == 0) {
      return budget.TooSmall(planner.OneDraw(doubtful), spent, std::min(doubtful, k));
    }
    if (step.rows == 0) break;
    const double row_bytes = static_cast<double>(step.rows * queries) * sizeof(float);
    step.draws =
        std::min(step.draws, std::max<int64_t>(1, static_cast<int64_t>(kRoundBytes / row_bytes)));
    std::vector<uint32_t> rows(in_doubt.begin(), in_doubt.begin() + step.rows);
    std::sort(rows.begin(), rows.end());
    const auto round = std::make_shared<SlopeRound>(std::move(rows), queries, step.draws);
    const auto progress = [&](int64_t draws) -> absl::Status {
      AttributeUpdate update;
      update.provenance = traces.provenance;
      update.slope_draws_done = static_cast<uint32_t>(DrawsOf(slopes.table) + draws);
      update.budget_used = budget.ShareUsed(spent);
      return sink(update);
    };
    BIF_RETURN_IF_ERROR(run.Take({.round = round,
                                  .deadline = budget.deadline(),
                                  .most_passes = left.has_value() && !refine.time ? *left : 0,
                                  .most_stretches = static_cast<size_t>(step.stretches)},
                                 cancel, progress));
    spent = run.session().passes();
    slopes.Add(run.session(), round);
    if (slopes.table.rounds.empty() && budget.over())
      return budget.TooSmall(planner.OneDraw(doubtful), spent, std::min(doubtful, k));
    BIF_ASSIGN_OR_RETURN(pairs, PairsFrom(asked, refine.estimator, slopes, traces.scores));
    compare();
    in_doubt = RowsInDoubt(contenders, LostQueries(slopes.table.lost));
    if (round->stretches.empty() || budget.over()) break;
    BIF_ASSIGN_OR_RETURN(const AttributeUpdate update, update_now());
    BIF_RETURN_IF_ERROR(sink(update));
  }
  BIF_ASSIGN_OR_RETURN(AttributeUpdate last, update_now());
  last.final = true;
  if (!key.empty()) {
    AttributeUpdate kept = last;
    kept.rows_evaluated = 0;
    kept.provenance.pathwise->forward_passes = 0;
    answers_.Insert(key, std::make_shared<const AttributeUpdate>(std::move(kept)), 1);
  }
  last.queue_time = run.waited();
  last.evaluation_time = absl::Now() - begun - run.waited();
  return sink(last);
}

}  // namespace bif::jobs
