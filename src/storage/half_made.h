// Marks a directory into which something is being copied: a backup, or a data directory that is
// being restored. Whoever finds the mark knows that the copy was cut off, and takes nothing from
// there. Thread-safe.
//
// The mark is a file, INCOMPLETE. It is durable before the first byte is copied, and goes after the
// last one is durable.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace bif::storage {

// `what` says in a sentence what is being made here, for whoever opens the file.
absl::Status MarkHalfMade(const std::string& directory, const std::string& what);
// Everything in the directory must be synced.
absl::Status MarkWhole(const std::string& directory);
// FAILED_PRECONDITION if the mark is there.
absl::Status RefuseHalfMade(const std::string& directory);

}  // namespace bif::storage
