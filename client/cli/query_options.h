// Options that the attribution commands share: which samples, which estimator, which observable.
// Queries are stored samples, samples of a file, or texts.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/cli/session.h"

namespace bif::client {

struct QueryOptions {
  std::string posterior;
  std::vector<std::string> queries;     // DATASET/ID
  std::string query_file;               // inline samples of a local file
  std::vector<std::string> texts;       // inline samples of a language model, to be tokenised
  std::string tokenizer;                // the tokenizer.json of that model
  std::vector<std::string> candidates;  // DATASET/ID; empty: the training dataset
  v1::Estimator estimator = v1::ESTIMATOR_UNSPECIFIED;
  v1::Centring centring = v1::CENTRING_UNSPECIFIED;
  v1::Observable observable;
  int32_t priority = 0;
};

void AddPosteriorOption(CLI::App* command, std::string& posterior);
void AddQueryOptions(CLI::App* command, QueryOptions& options);
// --tokenizer FILE: also for commands that show tokens.
CLI::Option* AddTokenizerOption(CLI::App* command, std::string& tokenizer);
void AddCandidateOption(CLI::App* command, std::vector<std::string>& candidates);
// --estimator and --centring; AddEstimatorOptions also --observable.
void AddTraceToScoreOptions(CLI::App* command, QueryOptions& options);
void AddEstimatorOptions(CLI::App* command, QueryOptions& options);
void AddObservableOption(CLI::App* command, v1::Observable& observable);

// loss, correct-probability, margin, logit:N[@P], logit-difference:N:M[@P], span:BEGIN[:END] or
// token-probability@P, where P is a position in a sequence.
absl::StatusOr<v1::Observable> ParseObservable(const std::string& text);

// The queries, stored or inline. Inline samples take the columns of the posterior's dataset, which
// is asked for.
absl::StatusOr<v1::SampleSet> ResolveQueries(Session& session, const QueryOptions& options);

}  // namespace bif::client
