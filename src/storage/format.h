// The version of the storage format: which directories this build reads. Free functions,
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "src/storage/catalog.h"

namespace bif::storage {

// The newest format that this build reads and the one it writes. Opening an older directory raises
// its version. 2: variable columns in sample blocks, and checkpoints of
// several blobs.
inline constexpr uint32_t kFormatVersion = 2;

// The header of the directory `root`; one with version 0 if it has none, as a new directory has
// not. FAILED_PRECONDITION if a build of the future made it.
absl::StatusOr<pb::StoreHeader> CheckFormat(const std::string& root, Catalog& catalog);
// Writes this build's version into a header that has another.
absl::Status RaiseFormat(pb::StoreHeader header, Catalog& catalog);

}  // namespace bif::storage
