// bifctl posterior llc: local learning coefficients of the components of one checkpoint, side by
// side.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/posterior_output.h"
#include "client/cli/session.h"
#include "client/paging.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

struct Row {
  v1::Posterior posterior;
  v1::Diagnostics diagnostics;
};

// The posteriors of this checkpoint that can be diagnosed; those that have too few draws are named
// on the side.
absl::StatusOr<std::vector<Row>> RowsOf(Session& session, const std::string& checkpoint,
                                        const std::string& dataset) {
  CLIENT_ASSIGN_OR_RETURN(
      const auto list,
      (CollectPages<v1::ListPosteriorsResponse, v1::ListPosteriorsRequest>(
          {}, [&](const auto& request) { return session.client().ListPosteriors(request); },
          [](const auto& all) { return all.posteriors_size(); }, 0)));
  std::vector<Row> rows;
  for (const v1::Posterior& posterior : list.posteriors()) {
    if (posterior.checkpoint() != checkpoint) continue;
    if (!dataset.empty() && posterior.dataset() != dataset) continue;
    auto diagnostics = session.client().GetDiagnostics(posterior.name());
    if (absl::IsFailedPrecondition(diagnostics.status())) {
      session.err << posterior.name() << ": " << diagnostics.status().message() << "\n";
      continue;
    }
    if (!diagnostics.ok()) return diagnostics.status();
    rows.push_back({posterior, *std::move(diagnostics)});
  }
  return rows;
}

// Coefficients depend on these, so only posteriors that share them can be compared.
std::string SamplerText(const v1::SamplerSettings& settings) {
  return absl::StrCat(Kebab(v1::SamplerAlgorithm_Name(settings.algorithm())), ", eps ",
                      Number(settings.step_size()), ", nbeta ", Number(settings.nbeta()),
                      ", gamma ", Number(settings.gamma()));
}

void Print(Session& session, const std::vector<Row>& rows) {
  bool same = true;
  Table table({"COMPONENT", ">PARAMETERS", ">LLC", "VERDICT", ">DRAWS", "SAMPLER", "POSTERIOR"});
  for (const auto& [posterior, diagnostics] : rows) {
    if (session.json) PrintJsonLine(session.out, diagnostics);
    if (session.quiet && !session.json)
      session.out << posterior.name() << "\t" << diagnostics.llc() << "\n";
    same = same && SamplerText(posterior.settings()) == SamplerText(rows[0].posterior.settings()) &&
           posterior.dataset() == rows[0].posterior.dataset();
    table.Add({ComponentText(diagnostics.component()), Count(diagnostics.component().parameters()),
               ScoreText(diagnostics.llc(), diagnostics.llc_standard_error()),
               diagnostics.verdict(),
               absl::StrCat(posterior.chains_size(), " x ", posterior.draws_per_chain()),
               SamplerText(posterior.settings()), ShortName(posterior.name())});
  }
  if (session.json || session.quiet) return;
  table.Print(session.out);
  if (!same) {
    session.out << "\nThese do not compare as they stand: coefficients depend on the sampler and "
                   "the dataset.\n";
  }
}

}  // namespace

void AddPosteriorLlcCommand(CLI::App& posterior, Action& action) {
  struct Arguments {
    std::string checkpoint, dataset;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = posterior.add_subcommand(
      "llc",
      "Local learning coefficients of a checkpoint's posteriors: of all parameters, and of the "
      "components that parameter filters select");
  command->add_option("--checkpoint", a->checkpoint, "the checkpoint")->required();
  command->add_option("--dataset", a->dataset, "only posteriors of this dataset");
  On(command, action, [a](Session& session) -> absl::Status {
    // Names may be shortened; the list has them in full.
    CLIENT_ASSIGN_OR_RETURN(
        const v1::Checkpoint checkpoint,
        session.client().GetCheckpoint(Qualified("checkpoints", a->checkpoint)));
    CLIENT_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                            RowsOf(session, checkpoint.name(), Qualified("datasets", a->dataset)));
    if (rows.empty())
      return absl::NotFoundError(absl::StrCat(checkpoint.name(), " has no posterior to look at"));
    Print(session, rows);
    return absl::OkStatus();
  });
}

}  // namespace bif::client
