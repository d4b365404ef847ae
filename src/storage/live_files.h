// Which files the catalog names. Whatever else lies in blobs/ and draws/ was left by a crash.
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "src/storage/catalog.h"

namespace bif::storage {

using FileNames = absl::flat_hash_set<std::string>;

// Files of draws and states of one posterior number, relative to its folder.
absl::StatusOr<FileNames> LiveDrawFiles(Catalog& catalog, uint64_t posterior);
// The same for every posterior that the catalog knows; one without files has an empty set.
absl::StatusOr<absl::flat_hash_map<uint64_t, FileNames>> LivePosteriors(Catalog& catalog);
// Whether <number>/<name>, a path below draws/, is one of these.
bool IsLiveDrawFile(const absl::flat_hash_map<uint64_t, FileNames>& posteriors,
                    const std::string& relative_path);
// SHA-256 names of programs and weights.
absl::StatusOr<FileNames> LiveBlobs(Catalog& catalog);
absl::StatusOr<absl::flat_hash_set<uint32_t>> LiveDatasets(Catalog& catalog);

}  // namespace bif::storage
