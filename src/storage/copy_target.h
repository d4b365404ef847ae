// A folder into which a copy of a data directory is being made: marked as half-made from the first
// moment (half_made.h), whole after Finish, and empty again if that never came.
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/cancel.h"

namespace bif::storage {

class CopyTarget {
 public:
  // Takes an empty folder, or makes one in a folder that is there, outside of `source`. `what` says
  // in the mark what is being made. FAILED_PRECONDITION if `path` is taken, NOT_FOUND if the folder
  // around it is missing, INVALID_ARGUMENT if it lies in `source`.
  static absl::StatusOr<std::unique_ptr<CopyTarget>> Create(const std::string& path,
                                                            const std::string& source,
                                                            const std::string& what);
  ~CopyTarget();
  CopyTarget(const CopyTarget&) = delete;
  CopyTarget& operator=(const CopyTarget&) = delete;

  const std::string& path() const { return path_; }

  // RESOURCE_EXHAUSTED, with the numbers, if so many bytes do not fit.
  absl::Status HasSpaceFor(int64_t bytes) const;
  // The file gets the name `relative` in the folder; false if a link cannot be made, and nothing
  // was.
  absl::StatusOr<bool> Link(const std::string& from, const std::string& relative);
  absl::Status Copy(const std::string& from, const std::string& relative,
                    const CancelToken& cancel);

  // All entries so far survive power loss.
  absl::Status Sync();
  // Syncs, and takes the mark away.
  absl::Status Finish();

 private:
  explicit CopyTarget(std::string path) : path_(std::move(path)) {}
  // The absolute path, in a folder that is there.
  absl::StatusOr<std::string> PlaceOf(const std::string& relative);

  const std::string path_;
  std::set<std::string> folders_;  // that have got entries
  bool finished_ = false;
};

}  // namespace bif::storage
