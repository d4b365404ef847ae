// Start-up's broom: removes whatever a crash left that no catalog record names.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "src/storage/rocksdb/rocks_stores.h"
#include "src/storage/store.h"

namespace bif::storage {

// Empties <root>/tmp, removes unnamed files of blobs/ and draws/, and unnamed tiles and sample
// blocks. To be called before anybody else uses the directory. Changes nothing unless the catalog
// could be read in full.
absl::StatusOr<RecoveryReport> SweepDirectory(const std::string& root, RocksStores& stores);

}  // namespace bif::storage
