// Checks a data directory, or a backup, that no daemon works on. Changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "src/storage/check.h"

namespace bif::storage {

struct FsckOptions {
  CheckOptions check;
  bool half_made_too = false;  // for whoever is making it
  // Something that no record of the catalog reaches, and its bytes (0: unknown). May be empty.
  std::function<void(const std::string& object, int64_t bytes)> on_leftover;
};

struct FsckReport {
  CheckSummary summary;
  int64_t leftovers = 0;  // no damage: the next start of the daemon removes them
  bool clean() const { return summary.damaged == 0; }
};

// Damage goes to options.check.on_damage; a status is given if the directory cannot be checked:
// FAILED_PRECONDITION if a daemon has it, a newer build made it or it is half-made, NOT_FOUND if it
// is no data directory.
absl::StatusOr<FsckReport> CheckDirectory(const std::string& root, const FsckOptions& options);

}  // namespace bif::storage
