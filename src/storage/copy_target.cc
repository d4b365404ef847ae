#include "src/storage/copy_target.h"

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/file_copy.h"
#include "src/storage/half_made.h"

namespace bif::storage {
namespace {

std::string ParentOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

bool IsEmptyFolder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error) && std::filesystem::is_empty(path, error) &&
         !error;
}

bool LiesIn(const std::string& path, const std::string& folder) {
  return absl::StartsWith(absl::StrCat(path, "/"), absl::StrCat(folder, "/"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CopyTarget>> CopyTarget::Create(const std::string& path,
                                                               const std::string& source,
                                                               const std::string& what) {
  const std::filesystem::path absolute =
      std::filesystem::absolute(path + "/").lexically_normal().parent_path();
  const absl::StatusOr<std::string> parent = RealPath(absolute.parent_path());
  if (absl::IsNotFound(parent.status())) {
    return absl::NotFoundError(
        absl::StrCat(absolute.parent_path().string(), " does not exist: make it first"));
  }
  BIF_RETURN_IF_ERROR(parent.status());
  if (FileExists(absolute) && !IsEmptyFolder(absolute)) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          absolute.string(), " is there and is no empty folder: name a new one")),
                      "DIRECTORY_NOT_EMPTY");
  }
  BIF_ASSIGN_OR_RETURN(const std::string real_source, RealPath(source));
  const std::string place = FileExists(absolute) ? RealPath(absolute).value_or("") : *parent;
  if (LiesIn(place, real_source)) {
    return absl::InvalidArgumentError(
        absl::StrCat(absolute.string(), " lies in ", source, ": name a folder outside of it"));
  }
  BIF_RETURN_IF_ERROR(MakeDirectories(absolute));
  BIF_RETURN_IF_ERROR(SyncDirectory(*parent));
  BIF_ASSIGN_OR_RETURN(std::string made, RealPath(absolute));
  std::unique_ptr<CopyTarget> target(new CopyTarget(std::move(made)));
  BIF_RETURN_IF_ERROR(MarkHalfMade(target->path(), what));
  return target;
}

CopyTarget::~CopyTarget() {
  if (finished_) return;
  std::error_code ignored;  // what stays has the mark
  for (const auto& entry : std::filesystem::directory_iterator(path_, ignored))
    std::filesystem::remove_all(entry.path(), ignored);
}

absl::Status CopyTarget::HasSpaceFor(int64_t bytes) const {
  BIF_ASSIGN_OR_RETURN(const int64_t free, FreeDiskBytes(path_));
  if (bytes <= free) return absl::OkStatus();
  return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                        "the disk of ", path_, " has ", free, " bytes free, and the copy takes ",
                        bytes, ": make room, or name another place")),
                    "DISK_FULL");
}

absl::StatusOr<std::string> CopyTarget::PlaceOf(const std::string& relative) {
  std::string place = absl::StrCat(path_, "/", relative);
  for (std::string folder = ParentOf(place); folder != path_; folder = ParentOf(folder))
    folders_.insert(folder);
  BIF_RETURN_IF_ERROR(MakeDirectories(ParentOf(place)));
  return place;
}

absl::StatusOr<bool> CopyTarget::Link(const std::string& from, const std::string& relative) {
  BIF_ASSIGN_OR_RETURN(const std::string to, PlaceOf(relative));
  return LinkFile(from, to);
}

absl::Status CopyTarget::Copy(const std::string& from, const std::string& relative,
                              const CancelToken& cancel) {
  BIF_ASSIGN_OR_RETURN(const std::string to, PlaceOf(relative));
  return CopyFile(from, to, cancel);
}

absl::Status CopyTarget::Sync() {
  // The deepest first: a folder's entries before the folder's own.
  for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder)
    BIF_RETURN_IF_ERROR(SyncDirectory(*folder));
  return SyncDirectory(path_);
}

absl::Status CopyTarget::Finish() {
  BIF_RETURN_IF_ERROR(Sync());
  BIF_RETURN_IF_ERROR(MarkWhole(path_));
  finished_ = true;
  return absl::OkStatus();
}

}  // namespace bif::storage
