// One HTML page that answers "which training samples made this model behave like this?" for people.
//
// Samples are shown as pictures, or, where they have tokens, as text whose tokens are tinted.
//
// Self-contained: styles, images and charts are inside, there is no script. Pure: it knows no
// server and no files.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bif/v1/attribution.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "client/report/passage.h"

namespace bif::client {

struct ReportContent {
  std::string title;
  v1::Posterior posterior;
  v1::Diagnostics diagnostics;
  v1::AttributeResponse answer;
  // Samples by resource name (datasets/{id}/samples/{id}); one that is missing is shown by its id
  // alone.
  std::map<std::string, v1::Sample> samples;
  // Token sequences as text, by resource name: one piece a token.
  std::map<std::string, std::vector<std::string>> pieces;
  // By the resource names of query and training sample.
  std::map<std::pair<std::string, std::string>, TokenHeat> heat;
  std::string query_dataset;      // datasets/{id}
  std::string candidate_dataset;  // datasets/{id}
  std::string image_column;       // of the picture; empty: the first column that is one
  std::string label_column;       // of the class; empty: none is shown
  std::vector<std::string> class_names;
  // Short texts for single samples: under "dataset/id" for any, or under the bare id for a training
  // sample.
  std::map<std::string, std::string> notes;
  // Figures for the top of the page: what, value.
  std::vector<std::pair<std::string, std::string>> summary;
  // Lines for the table at the end of the page, after those that the answer brings: timings,
  // versions.
  std::vector<std::pair<std::string, std::string>> provenance;
};

// INTERNAL only if the page's template is damaged.
absl::StatusOr<std::string> RenderReport(const ReportContent& content);

}  // namespace bif::client
