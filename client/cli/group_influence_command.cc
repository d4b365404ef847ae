// bifctl group-influence
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/attribution_output.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/query_options.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

struct Arguments {
  QueryOptions query;
  std::vector<std::string> members;
  std::string file;
};

// The references of a file, one a line; empty lines do not count.
absl::Status AddMembersOf(const std::string& path, std::vector<std::string>& members) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::string member(absl::StripAsciiWhitespace(line));
    if (!member.empty()) members.push_back(member);
  }
  if (file.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  return absl::OkStatus();
}

std::string RemovalText(const v1::GroupScore& score) {
  if (!score.has_removal()) return "-";
  const v1::RemovalPrediction& removal = score.removal();
  return absl::StrCat(ScoreText(removal.change(), removal.standard_error()), " (",
                      Number(removal.low()), " to ", Number(removal.high()), ")");
}

void Print(Session& session, const v1::GroupInfluenceResponse& answer) {
  if (session.json) return PrintJson(session.out, answer);
  Table table({"QUERY", ">SCORE OF THE GROUP", "EFFECT", ">NORMALISED",
               ">CHANGE WITHOUT THE GROUP (95 %)"});
  for (const v1::GroupScore& score : answer.scores()) {
    const std::string query =
        score.sample_id().empty() ? absl::StrCat("#", score.query()) : score.sample_id();
    if (session.quiet) session.out << query << "\t" << score.score().score() << "\n";
    table.Add(
        {query, ScoreText(score.score().score(), score.score().standard_error()),
         EffectText(score.score()),
         ScoreText(score.normalized_score().score(), score.normalized_score().standard_error()),
         RemovalText(score)});
  }
  if (session.quiet) return;
  table.Print(session.out);
  session.out << "\n" << Count(static_cast<int64_t>(answer.members())) << " members";
  if (answer.repeated_ids() > 0)
    session.out << " (" << answer.repeated_ids() << " named again, counted once)";
  session.out << "; " << ProvenanceText(answer.provenance()) << "\n";
}

}  // namespace

void AddGroupInfluenceCommand(CLI::App& root, Action& action) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = root.add_subcommand(
      "group-influence",
      "The influence of a set of training samples, and what it would be without");
  AddPosteriorOption(command, a->query.posterior);
  AddQueryOptions(command, a->query);
  command->add_option("--group", a->members, "members of the group")->type_name("DATASET/ID");
  command->add_option("--group-file", a->file, "a file of members, one DATASET/ID a line")
      ->check(CLI::ExistingFile);
  AddEnumOption(command, "--centring", a->query.centring, "which mean is taken off a trace")
      ->default_str("pooled");
  AddObservableOption(command, a->query.observable);
  On(command, action, [a](Session& session) -> absl::Status {
    std::vector<std::string> members = a->members;
    if (!a->file.empty()) CLIENT_RETURN_IF_ERROR(AddMembersOf(a->file, members));
    if (members.empty()) return UsageError("give --group DATASET/ID or --group-file FILE");
    v1::GroupInfluenceRequest request;
    request.set_posterior(Qualified("posteriors", a->query.posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_group(), ParseSampleSet(members));
    if (request.group().sample_ids().empty())
      return UsageError("a group is named member by member, not as all of a dataset");
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_queries(), ResolveQueries(session, a->query));
    request.set_centring(a->query.centring);
    *request.mutable_observable() = a->query.observable;
    request.set_priority(a->query.priority);
    CLIENT_ASSIGN_OR_RETURN(const auto answer, session.client().GroupInfluence(request));
    Print(session, answer);
    return absl::OkStatus();
  });
}

}  // namespace bif::client
