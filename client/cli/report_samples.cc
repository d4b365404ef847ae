#include "client/cli/report_samples.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/names.h"
#include "client/cli/progress.h"
#include "client/cli/text_samples.h"
#include "client/status_macros.h"
#include "client/text/tokenizer.h"

namespace bif::client {
namespace {

std::string SampleName(const std::string& dataset, const std::string& id) {
  return absl::StrCat(dataset, "/samples/", id);
}

void Append(const google::protobuf::RepeatedField<float>& from, std::vector<float>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

absl::StatusOr<TokenHeat> AskForHeat(Session& session, const v1::TokenInfluenceRequest& request) {
  TokenHeat heat;
  CLIENT_RETURN_IF_ERROR(session.client().TokenInfluence(
      request, [&](const v1::TokenInfluenceResponse& block) -> absl::Status {
        if (heat.columns == 0) heat.first_column = block.first_column();
        heat.columns = block.columns();
        Append(block.scores(), heat.scores);
        Append(block.standard_errors(), heat.standard_errors);
        Append(block.completion_scores(), heat.completions);
        Append(block.completion_standard_errors(), heat.completion_errors);
        return absl::OkStatus();
      }));
  heat.positive_helps =
      request.estimator() == v1::COVARIANCE || request.estimator() == v1::CORRELATION;
  return heat;
}

}  // namespace

absl::Status FetchSamples(Session& session, ReportContent& content) {
  std::vector<std::string> names;
  for (const v1::QueryRanking& ranking : content.answer.rankings()) {
    names.push_back(SampleName(content.query_dataset, ranking.sample_id()));
    for (const auto* end : {&ranking.helpful(), &ranking.harmful()}) {
      for (const v1::Score& score : *end) {
        names.push_back(SampleName(content.candidate_dataset, score.sample_id()));
      }
    }
  }
  Progress progress(session);
  int64_t done = 0;
  for (const std::string& name : names) {
    progress.Update({.stage = "fetching samples",
                     .done = done++,
                     .total = static_cast<int64_t>(names.size()),
                     .unit = "samples"});
    if (content.samples.contains(name)) continue;
    absl::StatusOr<v1::Sample> sample = session.client().GetSample(name);
    if (absl::IsNotFound(sample.status())) continue;
    if (!sample.ok()) return sample.status();
    content.samples.emplace(name, *std::move(sample));
  }
  return absl::OkStatus();
}

absl::Status ReadTexts(const std::string& column, const std::string& tokenizer,
                       ReportContent& content) {
  std::vector<std::string> names;
  std::vector<std::vector<int64_t>> sequences;
  for (const auto& [name, sample] : content.samples) {
    CLIENT_ASSIGN_OR_RETURN(auto ids, TokensOf(sample, column));
    names.push_back(name);
    sequences.push_back(std::move(ids));
  }
  if (sequences.empty()) return absl::OkStatus();
  CLIENT_ASSIGN_OR_RETURN(auto texts, Tokenizer(tokenizer).Decode(sequences));
  for (size_t i = 0; i < names.size(); ++i) content.pieces[names[i]] = std::move(texts[i].pieces);
  return absl::OkStatus();
}

absl::Status FetchTokenHeat(Session& session, const QueryOptions& options, int maps,
                            ReportContent& content) {
  v1::TokenInfluenceRequest request;
  request.set_posterior(content.posterior.name());
  request.set_estimator(options.estimator);
  request.set_centring(options.centring);
  request.set_standard_errors(true);
  request.mutable_query()->set_dataset(content.query_dataset);
  request.mutable_training()->set_dataset(content.candidate_dataset);
  Progress progress(session);
  int64_t done = 0;
  for (const v1::QueryRanking& ranking : content.answer.rankings()) {
    const std::string query = SampleName(content.query_dataset, ranking.sample_id());
    for (const auto* end : {&ranking.helpful(), &ranking.harmful()}) {
      for (int i = 0; i < std::min(maps, end->size()); ++i) {
        const std::string training = SampleName(content.candidate_dataset, (*end)[i].sample_id());
        if (!content.pieces.contains(query) || !content.pieces.contains(training)) continue;
        progress.Update({.stage = "asking for the scores of tokens",
                         .done = done++,
                         .total = int64_t{2} * maps * content.answer.rankings_size(),
                         .unit = "pairs"});
        request.mutable_query()->clear_sample_ids();
        request.mutable_query()->add_sample_ids(ranking.sample_id());
        request.mutable_training()->clear_sample_ids();
        request.mutable_training()->add_sample_ids((*end)[i].sample_id());
        absl::StatusOr<TokenHeat> heat = AskForHeat(session, request);
        // A server from before there were token scores.
        if (absl::IsUnimplemented(heat.status())) return absl::OkStatus();
        if (!heat.ok()) return heat.status();
        content.heat[{query, training}] = *std::move(heat);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace bif::client
