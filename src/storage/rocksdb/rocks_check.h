// Reads all that lies in RocksDB: every block of every table against its checksum, and every
// record, sample block and tile against its own.
#pragma once

#include "absl/status/status.h"
#include "src/storage/check.h"
#include "src/storage/owners.h"
#include "src/storage/rocksdb/database.h"

namespace bif::storage {

// Damage goes to `run`; a status is given only if the check itself cannot go on. What is deleted
// meanwhile is no damage. Thread-safe.
absl::Status CheckDatabase(Database& database, const Owners& owners, CheckRun& run);

}  // namespace bif::storage
