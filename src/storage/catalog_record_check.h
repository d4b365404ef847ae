// Whether a record of the catalog can be read at all. Pure function, thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace bif::storage {

// DATA_LOSS that names the record: its kind is unknown, or its value is none of that kind.
absl::Status CheckCatalogRecord(std::string_view key, std::string_view value);

}  // namespace bif::storage
