// bifctl score-matrix, bifctl self-influence
#include <algorithm>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/attribution_output.h"
#include "client/cli/commands.h"
#include "client/cli/csv.h"
#include "client/cli/names.h"
#include "client/cli/npy.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/pathwise_options.h"
#include "client/cli/pathwise_output.h"
#include "client/cli/query_options.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

absl::Status CheckBlock(const v1::ScoreMatrixResponse& block, bool standard_errors) {
  const int64_t wanted = static_cast<int64_t>(block.candidate_ids_size()) * block.queries();
  if (block.scores_size() != wanted ||
      (standard_errors && block.standard_errors_size() != wanted)) {
    return absl::InternalError("the server sent a block whose size does not fit its shape");
  }
  return absl::OkStatus();
}

// What scores from slopes rest on: beside the numbers, which go to a file or a pipe.
void SayWhatItRestsOn(Session& session, const v1::ScoreMatrixResponse& block) {
  if (session.quiet || !block.provenance().has_pathwise()) return;
  session.err << ProvenanceText(block.provenance()) << "\n";
  for (const std::string& note : PathwiseNotes(block.provenance().pathwise()))
    session.err << note << "\n";
}

absl::Status MatrixToCsv(Session& session, const v1::ScoreMatrixRequest& request,
                         const std::string& path) {
  CsvFile csv(session, path);
  csv.stream() << "candidate,query,score" << (request.standard_errors() ? ",standard_error" : "")
               << "\n";
  const auto& ids = request.queries().sample_ids();
  CLIENT_RETURN_IF_ERROR(session.client().ScoreMatrix(
      request, [&](const v1::ScoreMatrixResponse& block) -> absl::Status {
        CLIENT_RETURN_IF_ERROR(CheckBlock(block, request.standard_errors()));
        SayWhatItRestsOn(session, block);
        int at = 0;
        for (const std::string& candidate : block.candidate_ids()) {
          for (int q = 0; q < static_cast<int>(block.queries()); ++q, ++at) {
            csv.stream() << CsvCell(candidate) << ","
                         << (q < ids.size() ? CsvCell(ids[q]) : absl::StrCat("#", q)) << ","
                         << CsvNumber(block.scores(at));
            if (request.standard_errors())
              csv.stream() << "," << CsvNumber(block.standard_errors(at));
            csv.stream() << "\n";
          }
        }
        return absl::OkStatus();
      }));
  return csv.Close();
}

absl::Status MatrixToNpy(Session& session, const v1::ScoreMatrixRequest& request,
                         const std::string& path) {
  NpyWriter scores(path);
  std::unique_ptr<NpyWriter> errors;
  if (request.standard_errors()) errors = std::make_unique<NpyWriter>(path + ".se.npy");
  std::ofstream ids(path + ".ids.txt");
  CLIENT_RETURN_IF_ERROR(session.client().ScoreMatrix(
      request, [&](const v1::ScoreMatrixResponse& block) -> absl::Status {
        CLIENT_RETURN_IF_ERROR(CheckBlock(block, request.standard_errors()));
        SayWhatItRestsOn(session, block);
        for (const std::string& id : block.candidate_ids()) ids << id << "\n";
        CLIENT_RETURN_IF_ERROR(
            scores.Append(block.scores().data(), block.scores_size(), {block.queries()}));
        if (!errors) return absl::OkStatus();
        return errors->Append(block.standard_errors().data(), block.standard_errors_size(),
                              {block.queries()});
      }));
  if (!ids.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", path, ".ids.txt"));
  if (errors) CLIENT_RETURN_IF_ERROR(errors->Close());
  return scores.Close();
}

void AddScoreMatrix(CLI::App& root, Action& action) {
  struct Arguments {
    QueryOptions query;
    bool standard_errors = false;
    v1::PathwiseOptions pathwise;
    std::string out = "-";
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = root.add_subcommand("score-matrix", "All scores of candidates and queries");
  AddPosteriorOption(command, a->query.posterior);
  AddQueryOptions(command, a->query);
  AddCandidateOption(command, a->query.candidates);
  AddEstimatorOptions(command, a->query);
  AddPathwiseOptions(command, a->pathwise);
  command->add_flag("--standard-errors", a->standard_errors, "with standard errors");
  command->add_option("--out", a->out,
                      "*.npy: float32 [candidate, query], ids in FILE.ids.txt, standard errors in "
                      "FILE.se.npy; else csv; -: stdout");
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ScoreMatrixRequest request;
    request.set_posterior(Qualified("posteriors", a->query.posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_queries(), ResolveQueries(session, a->query));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_candidates(), ParseSampleSet(a->query.candidates));
    request.set_estimator(a->query.estimator);
    request.set_priority(a->query.priority);
    request.set_centring(a->query.centring);
    *request.mutable_observable() = a->query.observable;
    request.set_standard_errors(a->standard_errors);
    if (a->pathwise.draws() > 0) *request.mutable_pathwise() = a->pathwise;
    if (session.json) {
      return session.client().ScoreMatrix(request, [&](const v1::ScoreMatrixResponse& block) {
        PrintJsonLine(session.out, block);
        return absl::OkStatus();
      });
    }
    return absl::EndsWith(a->out, ".npy") ? MatrixToNpy(session, request, a->out)
                                          : MatrixToCsv(session, request, a->out);
  });
}

absl::Status WriteSelfInfluenceCsv(Session& session, const v1::SelfInfluenceResponse& all,
                                   const std::string& path) {
  CsvFile csv(session, path);
  csv.stream() << "sample,variance,standard_error,mean_loss,anchor_loss\n";
  for (int i = 0; i < all.sample_ids_size(); ++i) {
    csv.stream() << CsvCell(all.sample_ids(i)) << "," << CsvNumber(all.variances(i)) << ","
                 << CsvNumber(all.standard_errors(i)) << "," << CsvNumber(all.mean_losses(i)) << ","
                 << CsvNumber(all.anchor_losses(i)) << "\n";
  }
  return csv.Close();
}

void PrintSelfInfluence(Session& session, const v1::SelfInfluenceResponse& all, size_t top_k) {
  std::vector<int> order(all.sample_ids_size());
  std::iota(order.begin(), order.end(), 0);
  top_k = std::min(top_k, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top_k), order.end(),
                    [&](int a, int b) { return all.variances(a) > all.variances(b); });
  order.resize(top_k);
  Table table(
      {">RANK", "SAMPLE", ">VARIANCE OF ITS LOSS", ">MEAN LOSS", ">LOSS AT THE CHECKPOINT"});
  for (const int i : order) {
    if (session.quiet) session.out << all.sample_ids(i) << "\n";
    table.Add({absl::StrCat(table.rows() + 1), all.sample_ids(i),
               ScoreText(all.variances(i), all.standard_errors(i)), Number(all.mean_losses(i)),
               Number(all.anchor_losses(i))});
  }
  if (session.quiet) return;
  table.Print(session.out);
  session.out << "\n"
              << Count(all.sample_ids_size()) << " samples; " << DrawsText(all.provenance())
              << "\n";
}

void AddSelfInfluence(CLI::App& root, Action& action) {
  struct Arguments {
    std::string posterior, out;
    std::vector<std::string> candidates;
    v1::Centring centring = v1::CENTRING_UNSPECIFIED;
    size_t top_k = 20;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = root.add_subcommand(
      "self-influence", "The variance of every sample's own loss: mislabelled samples stand out");
  AddPosteriorOption(command, a->posterior);
  AddCandidateOption(command, a->candidates);
  AddEnumOption(command, "--centring", a->centring, "which mean is taken off a trace")
      ->default_str("pooled");
  command->add_option("--top-k", a->top_k, "how many to show")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--out", a->out, "write all of them to a csv file; -: stdout");
  On(command, action, [a](Session& session) -> absl::Status {
    v1::SelfInfluenceRequest request;
    request.set_posterior(Qualified("posteriors", a->posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_candidates(), ParseSampleSet(a->candidates));
    request.set_centring(a->centring);
    v1::SelfInfluenceResponse all;
    CLIENT_RETURN_IF_ERROR(
        session.client().SelfInfluence(request, [&](const v1::SelfInfluenceResponse& block) {
          all.MergeFrom(block);
          return absl::OkStatus();
        }));
    const int n = all.sample_ids_size();
    if (all.variances_size() != n || all.standard_errors_size() != n ||
        all.mean_losses_size() != n || all.anchor_losses_size() != n) {
      return absl::InternalError("the server sent columns of different lengths");
    }
    if (!a->out.empty()) CLIENT_RETURN_IF_ERROR(WriteSelfInfluenceCsv(session, all, a->out));
    if (session.json) {
      PrintJson(session.out, all);
    } else if (a->out != "-") {
      PrintSelfInfluence(session, all, a->top_k);
    }
    return absl::OkStatus();
  });
}

}  // namespace

void AddScoreCommands(CLI::App& root, Action& action) {
  AddScoreMatrix(root, action);
  AddSelfInfluence(root, action);
}

}  // namespace bif::client
