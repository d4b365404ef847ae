#include "src/storage/half_made.h"

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

std::string MarkOf(const std::string& directory) { return absl::StrCat(directory, "/INCOMPLETE"); }

}  // namespace

absl::Status MarkHalfMade(const std::string& directory, const std::string& what) {
  return WriteFileDurably(directory, MarkOf(directory), what + "\n");
}

absl::Status MarkWhole(const std::string& directory) {
  BIF_RETURN_IF_ERROR(RemoveFile(MarkOf(directory)));
  return SyncDirectory(directory);
}

absl::Status RefuseHalfMade(const std::string& directory) {
  if (!FileExists(MarkOf(directory))) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        directory,
                        " is half-made: a backup or a restore into it was cut off, as its file "
                        "INCOMPLETE says; remove the directory and make it again")),
                    "DIRECTORY_INCOMPLETE");
}

}  // namespace bif::storage
