#include "client/cli/query_options.h"

#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/sample_files.h"
#include "client/status_macros.h"

namespace bif::client {

absl::StatusOr<v1::Observable> ParseObservable(const std::string& text) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(absl::ByString(":"), 1));
  v1::Observable observable;
  uint32_t index = 0;
  if (parts.first == "loss" && parts.second.empty()) {
    observable.set_kind(v1::LOSS);
  } else if (parts.first == "correct-probability" && parts.second.empty()) {
    observable.set_kind(v1::CORRECT_PROBABILITY);
  } else if (parts.first == "margin" && parts.second.empty()) {
    observable.set_kind(v1::MARGIN);
  } else if (parts.first == "logit" && absl::SimpleAtoi(parts.second, &index)) {
    observable.set_kind(v1::LOGIT);
    observable.set_logit_index(index);
  } else {
    return UsageError(absl::StrCat(
        "an observable is loss, correct-probability, margin or logit:N, not '", text, "'"));
  }
  return observable;
}

void AddPosteriorOption(CLI::App* command, std::string& posterior) {
  command->add_option("--posterior", posterior, "the posterior")->required();
}

void AddQueryOptions(CLI::App* command, QueryOptions& options) {
  CLI::Option* stored =
      command
          ->add_option("--query", options.queries, "stored samples; DATASET/* is all of a dataset")
          ->type_name("DATASET/ID");
  CLI::Option* file =
      command
          ->add_option("--query-file", options.query_file,
                       "samples of a local safetensors or JSON lines file, which are not kept")
          ->check(CLI::ExistingFile);
  stored->excludes(file);
}

void AddCandidateOption(CLI::App* command, std::vector<std::string>& candidates) {
  command
      ->add_option(
          "--candidates", candidates,
          "samples to score; DATASET/* is all of a dataset (default: the training samples)")
      ->type_name("DATASET/ID");
}

void AddObservableOption(CLI::App* command, v1::Observable& observable) {
  command
      ->add_option_function<std::string>(
          "--observable",
          [&observable](const std::string& text) {
            absl::StatusOr<v1::Observable> parsed = ParseObservable(text);
            if (!parsed.ok()) {
              throw CLI::ValidationError("--observable", std::string(parsed.status().message()));
            }
            observable = *parsed;
          },
          "what is recorded of a query at every draw")
      ->type_name("loss|correct-probability|margin|logit:N")
      ->default_str("loss");
}

void AddEstimatorOptions(CLI::App* command, QueryOptions& options) {
  AddEnumOption(command, "--estimator", options.estimator, "how two traces become a score")
      ->default_str("bif");
  AddEnumOption(command, "--centring", options.centring, "which mean is taken off a trace")
      ->default_str("pooled");
  AddObservableOption(command, options.observable);
}

absl::StatusOr<v1::SampleSet> ResolveQueries(Session& session, const QueryOptions& options) {
  if (options.query_file.empty()) {
    if (options.queries.empty()) return UsageError("give --query DATASET/ID or --query-file FILE");
    return ParseSampleSet(options.queries);
  }
  CLIENT_ASSIGN_OR_RETURN(const v1::Posterior posterior, session.client().GetPosterior(Qualified(
                                                             "posteriors", options.posterior)));
  CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                          session.client().GetDataset(posterior.dataset()));
  SampleFileOptions file;
  file.columns.assign(dataset.columns().begin(), dataset.columns().end());
  CLIENT_ASSIGN_OR_RETURN(auto samples, OpenSampleFile(options.query_file, std::move(file)));
  v1::SampleSet set;
  while (true) {
    CLIENT_ASSIGN_OR_RETURN(std::optional<v1::Sample> sample, samples->Next());
    if (!sample) return set;
    sample->clear_id();
    *set.add_inline_() = *std::move(sample);
  }
}

}  // namespace bif::client
