// What bifctl report asks the server for beside the answer: the samples that the page shows, as
// texts where there is a tokenizer, and the scores of their tokens.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/cli/query_options.h"
#include "client/cli/session.h"
#include "client/report/report.h"

namespace bif::client {

// Fills content.samples for content.answer. One that was deleted since is left out.
absl::Status FetchSamples(Session& session, ReportContent& content);

// Fills content.pieces from the tokens in `column` of content.samples, by the model's own
// tokenizer.
absl::Status ReadTexts(const std::string& column, const std::string& tokenizer,
                       ReportContent& content);

// Fills content.heat for the first `maps` at either end of every ranking.
absl::Status FetchTokenHeat(Session& session, const QueryOptions& options, int maps,
                            ReportContent& content);

}  // namespace bif::client
