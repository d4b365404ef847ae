// Tells a damaged log from a torn one, for RocksDB's write-ahead logs and manifests, before RocksDB
// reads them.
//
// RocksDB takes a record that reaches beyond the end of a file, or that has a type which only
// recycled logs use, for the end of the log, and drops it and all that follow without a word. A
// crash leaves the first at the very end; one flipped bit leaves either anywhere, and then what is
// dropped has been acknowledged.
//
// Stateless, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace bif::storage {

// DATA_LOSS, naming `name` and the byte, if the log's bytes cannot be a whole log or the beginning
// of one.
absl::Status CheckLog(std::string_view bytes, const std::string& name);

// Checks the current manifest and all write-ahead logs of a database; OK if there is none yet.
absl::Status CheckLogs(const std::string& database_path);

}  // namespace bif::storage
