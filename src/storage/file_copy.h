// Copies of files that nobody writes any more. Thread-safe; messages name the path.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/cancel.h"

namespace bif::storage {

// The bytes and the permissions, synced; the entry in the directory is durable once that is synced.
// ALREADY_EXISTS if `to` is there; a copy that failed or was cancelled leaves nothing.
absl::Status CopyFile(const std::string& from, const std::string& to, const CancelToken& cancel);

// A second name for the same bytes; false where the file system has no such thing, or `to` lies on
// another one.
absl::StatusOr<bool> LinkFile(const std::string& from, const std::string& to);

// After OK the bytes survive power loss.
absl::Status SyncFile(const std::string& path);

}  // namespace bif::storage
