// The small files that bifctl report takes. Each is INVALID_ARGUMENT, a usage error, if it does not
// look as it should; an empty path is an empty result.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace bif::client {

// A file with a name a line, or the names themselves, separated by commas.
absl::StatusOr<std::vector<std::string>> ReadClassNames(const std::string& file_or_list);

// {"17": "label flipped: was 3", "test/4": "predicted coat"}
absl::StatusOr<std::map<std::string, std::string>> ReadNotes(const std::string& path);

// [{"label": "AUROC", "value": "0.94"}, ...]; values may be numbers.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadSummary(
    const std::string& path);

}  // namespace bif::client
