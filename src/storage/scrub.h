// Reads everything that is stored and compares it with its checksums.
#pragma once

#include "absl/status/statusor.h"
#include "src/storage/blob_store.h"
#include "src/storage/check.h"
#include "src/storage/draw_store.h"
#include "src/storage/rocksdb/rocks_stores.h"

namespace bif::storage {

// The catalog, samples and traces, then the files that the catalog names. Damage goes to
// `options.on_damage`; a status is given only if the check itself cannot go on. Thread-safe.
absl::StatusOr<CheckSummary> CheckEverything(RocksStores& rocks, DrawStore& draws, BlobStore& blobs,
                                             const CheckOptions& options);

}  // namespace bif::storage
