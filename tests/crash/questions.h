// Questions to a posterior whose answers can be compared, bit for bit or as numbers.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"

namespace bif::testing {

// SHA-256 over the traces, bit for bit, of samples of a dataset; no ids: of all that have some.
absl::StatusOr<std::string> TracesDigest(client::Client& client, const std::string& posterior,
                                         const std::string& dataset,
                                         const std::vector<std::string>& ids = {});
// The same over the scores between all of these samples.
absl::StatusOr<std::string> ScoresDigest(client::Client& client, const std::string& posterior,
                                         const std::string& dataset,
                                         const std::vector<std::string>& ids);
// The diagnostics in full.
absl::StatusOr<std::string> DiagnosticsDigest(client::Client& client, const std::string& posterior);

}  // namespace bif::testing
