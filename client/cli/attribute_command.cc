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
#include "client/cli/progress.h"
#include "client/cli/query_options.h"
#include "client/status_macros.h"

namespace bif::client {

void AddAttributeCommand(CLI::App& root, Action& action) {
  struct Arguments {
    QueryOptions query;
    uint32_t top_k = 10;
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
  On(command, action, [a](Session& session) -> absl::Status {
    v1::AttributeRequest request;
    request.set_posterior(Qualified("posteriors", a->query.posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_queries(), ResolveQueries(session, a->query));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_candidates(), ParseSampleSet(a->query.candidates));
    request.set_estimator(a->query.estimator);
    request.set_centring(a->query.centring);
    *request.mutable_observable() = a->query.observable;
    request.set_top_k(a->top_k);
    absl::StatusOr<v1::AttributeResponse> response = [&] {
      Progress progress(session);
      return session.client().Attribute(request, [&](const v1::AttributeResponse& update) {
        progress.Update({.stage = "evaluating the query",
                         .done = update.draws_done(),
                         .total = update.draws_total(),
                         .unit = "draws"});
      });
    }();
    if (!response.ok()) return response.status();
    PrintAttribution(session, *response);
    return absl::OkStatus();
  });
}

}  // namespace bif::client
