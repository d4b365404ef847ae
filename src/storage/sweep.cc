#include "src/storage/sweep.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/live_files.h"

namespace bif::storage {
namespace {

// Removes the files below `directory` for which keep(relative path) is false.
template <typename Keep>
absl::Status RemoveUnless(const std::string& directory, Keep keep, RecoveryReport& report) {
  BIF_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFilesRecursively(directory));
  for (const std::string& name : names) {
    if (keep(name)) continue;
    const std::string path = absl::StrCat(directory, "/", name);
    BIF_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
    BIF_RETURN_IF_ERROR(RemoveFile(path));
    report.swept_files += 1;
    report.swept_bytes += bytes;
  }
  return absl::OkStatus();
}

// A damaged table of tiles or blocks must not keep the daemon from starting: reads will name what
// is lost, and what else could have been swept stays until it can be listed.
template <typename Number>
absl::StatusOr<std::vector<Number>> OrNone(absl::StatusOr<std::vector<Number>> listed) {
  if (absl::IsDataLoss(listed.status())) return std::vector<Number>();
  return listed;
}

// Of a backup that was cut off: the staging folder without its files.
absl::Status RemoveFolders(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    BIF_RETURN_IF_ERROR(RemoveTree(entry.path().string()));
  return error ? ErrnoStatus(error.value(), "list", directory) : absl::OkStatus();
}

absl::Status RemoveEmptyFolders(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    std::error_code ignored;  // a folder that is not empty stays
    if (entry.is_directory(ignored)) std::filesystem::remove(entry.path(), ignored);
  }
  return error ? ErrnoStatus(error.value(), "list", directory) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<RecoveryReport> SweepDirectory(const std::string& root, RocksStores& stores) {
  // All reading comes first: a catalog that cannot be read must not cost anybody's files.
  BIF_ASSIGN_OR_RETURN(const auto posteriors, LivePosteriors(stores.catalog()));
  BIF_ASSIGN_OR_RETURN(const auto datasets, LiveDatasets(stores.catalog()));
  BIF_ASSIGN_OR_RETURN(const FileNames blobs, LiveBlobs(stores.catalog()));
  BIF_ASSIGN_OR_RETURN(const auto traced, OrNone(stores.PosteriorsWithTraces()));
  BIF_ASSIGN_OR_RETURN(const auto stored, OrNone(stores.DatasetsWithSamples()));

  RecoveryReport report;
  BIF_RETURN_IF_ERROR(RemoveUnless(
      absl::StrCat(root, "/tmp"), [](const std::string&) { return false; }, report));
  BIF_RETURN_IF_ERROR(RemoveFolders(absl::StrCat(root, "/tmp")));
  BIF_RETURN_IF_ERROR(RemoveUnless(
      absl::StrCat(root, "/blobs"), [&](const std::string& name) { return blobs.contains(name); },
      report));
  BIF_RETURN_IF_ERROR(RemoveUnless(
      absl::StrCat(root, "/draws"),
      [&](const std::string& name) { return IsLiveDrawFile(posteriors, name); }, report));
  BIF_RETURN_IF_ERROR(RemoveEmptyFolders(absl::StrCat(root, "/draws")));
  for (const uint64_t number : traced) {
    if (!posteriors.contains(number)) BIF_RETURN_IF_ERROR(stores.traces().DeletePosterior(number));
  }
  for (const uint32_t number : stored) {
    if (!datasets.contains(number)) BIF_RETURN_IF_ERROR(stores.samples().DeleteDataset(number));
  }
  return report;
}

}  // namespace bif::storage
