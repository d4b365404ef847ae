// bifctl report
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/query_options.h"
#include "client/cli/report_files.h"
#include "client/cli/report_samples.h"
#include "client/report/report.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

struct ReportArguments {
  QueryOptions query;
  uint32_t top_k = 10;
  int token_maps = 3;
  std::string out, title, class_names, image_column, label_column, notes, summary;
};

absl::StatusOr<v1::Program> ProgramOf(Session& session, const v1::Posterior& posterior) {
  CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                          session.client().GetCheckpoint(posterior.checkpoint()));
  return session.client().GetProgram(checkpoint.program());
}

absl::StatusOr<v1::AttributeResponse> Ask(Session& session, const ReportArguments& a,
                                          ReportContent& content) {
  v1::AttributeRequest request;
  request.set_posterior(content.posterior.name());
  CLIENT_ASSIGN_OR_RETURN(*request.mutable_queries(), ParseSampleSet(a.query.queries));
  CLIENT_ASSIGN_OR_RETURN(*request.mutable_candidates(), ParseSampleSet(a.query.candidates));
  request.set_estimator(a.query.estimator);
  request.set_centring(a.query.centring);
  *request.mutable_observable() = a.query.observable;
  request.set_top_k(a.top_k);
  content.query_dataset = request.queries().dataset();
  content.candidate_dataset = request.candidates().dataset().empty()
                                  ? content.posterior.dataset()
                                  : request.candidates().dataset();
  Progress progress(session);
  const absl::Time started = absl::Now();
  CLIENT_ASSIGN_OR_RETURN(auto answer, session.client().Attribute(request, [&](const auto& update) {
    progress.Update({.stage = "asking",
                     .done = update.draws_done(),
                     .total = update.draws_total(),
                     .unit = "draws"});
  }));
  content.provenance.emplace_back("this answer took",
                                  absl::StrCat(DurationText(absl::Now() - started), ", with ",
                                               answer.rows_evaluated(), " query rows evaluated"));
  return answer;
}

absl::Status MakeReport(Session& session, const ReportArguments& a) {
  ReportContent content;
  content.title = a.title;
  content.image_column = a.image_column;
  content.label_column = a.label_column;
  CLIENT_ASSIGN_OR_RETURN(content.class_names, ReadClassNames(a.class_names));
  CLIENT_ASSIGN_OR_RETURN(content.notes, ReadNotes(a.notes));
  CLIENT_ASSIGN_OR_RETURN(content.summary, ReadSummary(a.summary));

  Client& client = session.client();
  CLIENT_ASSIGN_OR_RETURN(content.posterior,
                          client.GetPosterior(Qualified("posteriors", a.query.posterior)));
  CLIENT_ASSIGN_OR_RETURN(content.diagnostics, client.GetDiagnostics(content.posterior.name()));
  CLIENT_ASSIGN_OR_RETURN(content.answer, Ask(session, a, content));
  CLIENT_ASSIGN_OR_RETURN(const v1::Program program, ProgramOf(session, content.posterior));
  if (content.label_column.empty() && program.loss() == v1::CROSS_ENTROPY)
    content.label_column = program.target_column();
  CLIENT_RETURN_IF_ERROR(FetchSamples(session, content));
  if (!a.query.tokenizer.empty()) {
    CLIENT_RETURN_IF_ERROR(ReadTexts(program.target_column(), a.query.tokenizer, content));
    CLIENT_RETURN_IF_ERROR(FetchTokenHeat(session, a.query, a.token_maps, content));
  }
  CLIENT_ASSIGN_OR_RETURN(const v1::ServerInfo server, client.GetServerInfo());
  content.provenance.emplace_back("server", absl::StrCat(server.version(), ", ", server.device()));
  content.provenance.emplace_back(
      "made", absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone()));

  CLIENT_ASSIGN_OR_RETURN(const std::string page, RenderReport(content));
  std::ofstream file(a.out, std::ios::binary | std::ios::trunc);
  file << page;
  if (!file.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", a.out));
  if (session.json) {
    PrintJson(session.out, content.answer);
  } else {
    session.out << a.out << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddReportCommand(CLI::App& root, Action& action) {
  auto a = std::make_shared<ReportArguments>();
  CLI::App* command = root.add_subcommand(
      "report", "Writes an answer as a web page: images or texts, scores, chains");
  AddPosteriorOption(command, a->query.posterior);
  command->add_option("--query", a->query.queries, "stored samples")
      ->required()
      ->type_name("DATASET/ID");
  command->add_option("--out", a->out, "the page to write")->required();
  command->add_option("--top-k", a->top_k, "how many training samples at either end")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--title", a->title, "heading of the page");
  CLI::Option* tokenizer = AddTokenizerOption(command, a->query.tokenizer);
  command
      ->add_option("--token-maps", a->token_maps,
                   "with texts: so many at either end get the scores of their tokens")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->needs(tokenizer);
  command->add_option("--class-names", a->class_names,
                      "names of the classes in order: shirt,coat,... or a file with one a line");
  command->add_option("--image-column", a->image_column,
                      "column that holds the picture (default: the first that can be one)");
  command->add_option("--label-column", a->label_column,
                      "column that holds the class (default: the program's target)");
  command
      ->add_option("--notes", a->notes,
                   "JSON object of badges: \"dataset/id\" of any sample, or \"id\" of a training "
                   "sample, to a short text")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--summary", a->summary,
                   "JSON list of {\"label\": ..., \"value\": ...} for the top of the page")
      ->check(CLI::ExistingFile);
  AddCandidateOption(command, a->query.candidates);
  AddEstimatorOptions(command, a->query);
  On(command, action, [a](Session& session) { return MakeReport(session, *a); });
}

}  // namespace bif::client
