// bifctl token-influence
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/attribution_output.h"
#include "client/cli/commands.h"
#include "client/cli/csv.h"
#include "client/cli/names.h"
#include "client/cli/npy.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/query_options.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

struct Arguments {
  QueryOptions query;
  std::string training;
  std::string span;
  std::string out;
};

// "BEGIN" or "BEGIN:END".
absl::Status ParseSpan(const std::string& text, v1::TokenInfluenceRequest& request) {
  if (text.empty()) return absl::OkStatus();
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  uint32_t begin = 0, end = 0;
  if (parts.size() > 2 || !absl::SimpleAtoi(parts[0], &begin) ||
      (parts.size() == 2 && !absl::SimpleAtoi(parts[1], &end))) {
    return UsageError(absl::StrCat("a span is BEGIN or BEGIN:END, not '", text, "'"));
  }
  request.set_span_begin(begin);
  request.set_span_end(end);
  return absl::OkStatus();
}

// All blocks as one.
absl::StatusOr<v1::TokenInfluenceResponse> Ask(Session& session,
                                               const v1::TokenInfluenceRequest& request) {
  v1::TokenInfluenceResponse all;
  CLIENT_RETURN_IF_ERROR(
      session.client().TokenInfluence(request, [&](const v1::TokenInfluenceResponse& block) {
        all.MergeFrom(block);
        return absl::OkStatus();
      }));
  const int cells = static_cast<int>(all.rows() * all.columns());
  if (all.scores_size() != cells || all.standard_errors_size() != cells ||
      all.completion_scores_size() != static_cast<int>(all.rows()) ||
      all.completion_standard_errors_size() != static_cast<int>(all.rows())) {
    return absl::InternalError("the server sent blocks that do not make up a matrix");
  }
  return all;
}

absl::Status WriteCsv(Session& session, const v1::TokenInfluenceResponse& all,
                      const std::string& path) {
  CsvFile csv(session, path);
  csv.stream() << "training_position,query_position,score,standard_error\n";
  for (uint32_t row = 0, at = 0; row < all.rows(); ++row) {
    for (uint32_t column = 0; column < all.columns(); ++column, ++at) {
      csv.stream() << row + 1 << "," << all.first_column() + column << ","
                   << CsvNumber(all.scores(static_cast<int>(at))) << ","
                   << CsvNumber(all.standard_errors(static_cast<int>(at))) << "\n";
    }
  }
  return csv.Close();
}

absl::Status WriteNpy(const v1::TokenInfluenceResponse& all, const std::string& path) {
  for (const auto& [file, values] :
       {std::pair(path, &all.scores()), std::pair(path + ".se.npy", &all.standard_errors())}) {
    NpyWriter npy(file);
    CLIENT_RETURN_IF_ERROR(
        npy.Append(values->data(), static_cast<size_t>(values->size()), {all.columns()}));
    CLIENT_RETURN_IF_ERROR(npy.Close());
  }
  return absl::OkStatus();
}

// A row a training token: its score with the whole span, and the query's token that it has most to
// do with.
void Print(Session& session, const v1::TokenInfluenceResponse& all) {
  Table table({">POSITION", ">SCORE WITH THE SPAN", ">MOST WITH POSITION", ">SCORE"});
  for (int row = 0; row < static_cast<int>(all.rows()); ++row) {
    const int first = row * static_cast<int>(all.columns());
    int most = 0;
    for (int column = 1; column < static_cast<int>(all.columns()); ++column) {
      if (std::abs(all.scores(first + column)) > std::abs(all.scores(first + most))) most = column;
    }
    table.Add({absl::StrCat(row + 1),
               ScoreText(all.completion_scores(row), all.completion_standard_errors(row)),
               absl::StrCat(static_cast<int>(all.first_column()) + most),
               ScoreText(all.scores(first + most), all.standard_errors(first + most))});
  }
  table.Print(session.out);
  const v1::Score& sequence = all.sequence_score();
  session.out << "\nall tokens together: " << ScoreText(sequence.score(), sequence.standard_error())
              << ", " << EffectText(sequence) << "\n"
              << ProvenanceText(all.provenance()) << "\n";
}

}  // namespace

void AddTokenInfluenceCommand(CLI::App& root, Action& action) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = root.add_subcommand(
      "token-influence", "The scores between the tokens of a training sequence and of a query");
  AddPosteriorOption(command, a->query.posterior);
  command->add_option("--training", a->training, "the training sequence")
      ->type_name("DATASET/ID")
      ->required();
  AddQueryOptions(command, a->query);
  command
      ->add_option("--span", a->span,
                   "the query's tokens from BEGIN on, before END: a completion after its prompt")
      ->type_name("BEGIN[:END]");
  AddTraceToScoreOptions(command, a->query);
  command->add_option("--out", a->out,
                      "*.npy: float32 [training token, query token], standard errors in "
                      "FILE.se.npy; else csv; -: stdout");
  On(command, action, [a](Session& session) -> absl::Status {
    v1::TokenInfluenceRequest request;
    request.set_posterior(Qualified("posteriors", a->query.posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_training(), ParseSampleSet({a->training}));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_query(), ResolveQueries(session, a->query));
    request.set_estimator(a->query.estimator);
    request.set_priority(a->query.priority);
    request.set_centring(a->query.centring);
    request.set_standard_errors(true);
    CLIENT_RETURN_IF_ERROR(ParseSpan(a->span, request));
    CLIENT_ASSIGN_OR_RETURN(const v1::TokenInfluenceResponse all, Ask(session, request));
    if (!a->out.empty()) {
      CLIENT_RETURN_IF_ERROR(absl::EndsWith(a->out, ".npy") ? WriteNpy(all, a->out)
                                                            : WriteCsv(session, all, a->out));
    }
    if (session.json) {
      PrintJson(session.out, all);
    } else if (a->out != "-") {
      Print(session, all);
    }
    return absl::OkStatus();
  });
}

}  // namespace bif::client
