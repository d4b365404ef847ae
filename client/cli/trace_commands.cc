// bifctl trace, bifctl export-traces
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/csv.h"
#include "client/cli/follow.h"
#include "client/cli/names.h"
#include "client/cli/npy.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/query_options.h"
#include "client/operation_result.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

void AddTrace(CLI::App& root, Action& action) {
  struct Arguments {
    std::string posterior, request_id;
    std::vector<std::string> samples;
    v1::Granularity granularity = v1::GRANULARITY_UNSPECIFIED;
    int32_t priority = 0;
    bool wait = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      root.add_subcommand("trace", "Evaluates samples at the stored draws and keeps their traces");
  AddPosteriorOption(command, a->posterior);
  command
      ->add_option("--samples", a->samples, "samples; DATASET/* is all of a dataset without traces")
      ->required()
      ->type_name("DATASET/ID");
  AddEnumOption(command, "--granularity", a->granularity,
                "token: the losses of sequences' tokens too")
      ->default_str("sequence");
  command->add_flag("--wait", a->wait, "wait until they are traced, and show how far it is");
  AddPriority(command, a->priority);
  AddRequestId(command, a->request_id);
  On(command, action, [a](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(const v1::SampleSet samples, ParseSampleSet(a->samples));
    v1::TraceSamplesRequest request;
    request.set_request_id(a->request_id);
    request.set_posterior(Qualified("posteriors", a->posterior));
    request.set_dataset(samples.dataset());
    *request.mutable_sample_ids() = samples.sample_ids();
    request.set_granularity(a->granularity);
    request.set_priority(a->priority);
    CLIENT_ASSIGN_OR_RETURN(auto operation, session.client().TraceSamples(std::move(request)));
    if (!a->wait && !operation.done()) {
      PrintStarted(session, operation);
      return absl::OkStatus();
    }
    CLIENT_ASSIGN_OR_RETURN(operation, Follow(session, std::move(operation)));
    CLIENT_ASSIGN_OR_RETURN(const auto result,
                            OperationResult<v1::TraceSamplesResponse>(operation));
    if (session.json) {
      PrintJson(session.out, result);
    } else if (!session.quiet) {
      session.out << "traced " << Count(result.traced()) << " samples; "
                  << Count(result.already_there()) << " were traced before\n";
    }
    return absl::OkStatus();
  });
}

// One line a value: sample,chain,draw,value.
absl::Status WriteCsvBlock(std::ostream& csv, const v1::ExportTracesResponse& block) {
  const size_t chains = block.chains();
  const size_t draws = block.draws_per_chain();
  if (block.values_size() != static_cast<int>(block.sample_ids_size() * chains * draws)) {
    return absl::InternalError("the server sent a block whose size does not fit its shape");
  }
  size_t at = 0;
  for (const std::string& id : block.sample_ids()) {
    for (size_t c = 0; c < chains; ++c) {
      const size_t chain =
          c < static_cast<size_t>(block.chain_indices_size()) ? block.chain_indices(c) : c;
      for (size_t t = 0; t < draws; ++t) {
        csv << CsvCell(id) << "," << chain << "," << t << "," << CsvNumber(block.values(at++))
            << "\n";
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ExportNpy(Session& session, const v1::ExportTracesRequest& request,
                       const std::string& path) {
  NpyWriter npy(path);
  std::ofstream ids(path + ".ids.txt");
  CLIENT_RETURN_IF_ERROR(
      session.client().ExportTraces(request, [&](const v1::ExportTracesResponse& block) {
        for (const std::string& id : block.sample_ids()) ids << id << "\n";
        return npy.Append(block.values().data(), block.values_size(),
                          {block.chains(), block.draws_per_chain()});
      }));
  if (!ids.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", path, ".ids.txt"));
  return npy.Close();
}

void AddExport(CLI::App& root, Action& action) {
  struct Arguments {
    std::string posterior, out;
    std::vector<std::string> samples;
    v1::Observable observable;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      root.add_subcommand("export-traces", "Writes traces to a file, for your own analysis");
  AddPosteriorOption(command, a->posterior);
  command
      ->add_option("--samples", a->samples,
                   "samples; DATASET/* is all of a dataset (default: the training samples)")
      ->type_name("DATASET/ID");
  AddObservableOption(command, a->observable);
  command
      ->add_option("--out", a->out,
                   "*.npy: float32 [sample, chain, draw], ids in FILE.ids.txt; *.csv: a line a "
                   "value; -: csv to stdout")
      ->required();
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ExportTracesRequest request;
    request.set_posterior(Qualified("posteriors", a->posterior));
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_samples(), ParseSampleSet(a->samples));
    *request.mutable_observable() = a->observable;
    if (absl::EndsWith(a->out, ".npy")) {
      CLIENT_RETURN_IF_ERROR(ExportNpy(session, request, a->out));
    } else {
      CsvFile csv(session, a->out);
      csv.stream() << "sample,chain,draw,value\n";
      CLIENT_RETURN_IF_ERROR(session.client().ExportTraces(
          request, [&](const auto& block) { return WriteCsvBlock(csv.stream(), block); }));
      CLIENT_RETURN_IF_ERROR(csv.Close());
    }
    if (!session.quiet && a->out != "-") session.err << "wrote " << a->out << "\n";
    return absl::OkStatus();
  });
}

}  // namespace

void AddTraceCommands(CLI::App& root, Action& action) {
  AddTrace(root, action);
  AddExport(root, action);
}

}  // namespace bif::client
