// bifctl attribute
#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/attribution_output.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/pathwise_options.h"
#include "client/cli/progress.h"
#include "client/cli/query_options.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

ProgressState StateOf(const v1::AttributeResponse& update) {
  if (update.budget_used() > 0) {
    uint64_t undecided = 0;
    for (const v1::QueryRanking& ranking : update.rankings())
      undecided += ranking.refined().helpful_undecided() + ranking.refined().harmful_undecided();
    return {.stage = "refining",
            .done = static_cast<int64_t>(100 * std::min(1.0, update.budget_used())),
            .total = 100,
            .unit = "% of the budget",
            .note = update.rankings_size() > 0 ? absl::StrCat(undecided, " in doubt") : ""};
  }
  if (update.slope_draws_total() > 0) {
    return {.stage = "taking slopes",
            .done = update.slope_draws_done(),
            .total = update.slope_draws_total(),
            .unit = "draws"};
  }
  return {.stage = "evaluating the query",
          .done = update.draws_done(),
          .total = update.draws_total(),
          .unit = "draws"};
}

}  // namespace

void AddAttributeCommand(CLI::App& root, Action& action) {
  struct Arguments {
    QueryOptions query;
    uint32_t top_k = 10;
    v1::PathwiseOptions pathwise;
    RefineArguments refine;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      root.add_subcommand("attribute", "Which training samples made the model behave like this?");
  AddPosteriorOption(command, a->query.posterior);
  AddQueryOptions(command, a->query);
  AddCandidateOption(command, a->query.candidates);
  command->add_option("--top-k", a->top_k, "how many at either end")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddEstimatorOptions(command, a->query);
  AddPathwiseOptions(command, a->pathwise);
  AddRefineOptions(command, a->refine);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::AttributeRequest request;
    request.set_posterior(Qualified("posteriors", a->query.posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_queries(), ResolveQueries(session, a->query));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_candidates(), ParseSampleSet(a->query.candidates));
    request.set_estimator(a->query.estimator);
    request.set_priority(a->query.priority);
    request.set_centring(a->query.centring);
    *request.mutable_observable() = a->query.observable;
    request.set_top_k(a->top_k);
    if (a->pathwise.draws() > 0) *request.mutable_pathwise() = a->pathwise;
    CLIENT_RETURN_IF_ERROR(FillRefine(a->refine, request));
    absl::StatusOr<v1::AttributeResponse> response = [&] {
      Progress progress(session);
      return session.client().Attribute(
          request, [&](const v1::AttributeResponse& update) { progress.Update(StateOf(update)); });
    }();
    if (!response.ok()) return response.status();
    PrintAttribution(session, *response);
    return absl::OkStatus();
  });
}

}  // namespace bif::client
