// Reads every file that the catalog names: draws, chain states, programs and weights.
#pragma once

#include "absl/status/status.h"
#include "src/storage/blob_store.h"
#include "src/storage/catalog.h"
#include "src/storage/check.h"
#include "src/storage/draw_store.h"
#include "src/storage/owners.h"

namespace bif::storage {

// Damage goes to `run`; a status is given only if the check itself cannot go on: a catalog that
// cannot be read, a full table of open files. What is deleted meanwhile is no damage. Thread-safe.
absl::Status CheckFiles(Catalog& catalog, DrawStore& draws, BlobStore& blobs, const Owners& owners,
                        CheckRun& run);

}  // namespace bif::storage
