#include "src/storage/fsck.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/directory_lock.h"
#include "src/storage/file_blob_store.h"
#include "src/storage/file_draw_store.h"
#include "src/storage/format.h"
#include "src/storage/half_made.h"
#include "src/storage/live_files.h"
#include "src/storage/rocksdb/rocks_stores.h"
#include "src/storage/scrub.h"

namespace bif::storage {
namespace {

class Leftovers {
 public:
  Leftovers(const std::string& root, RocksStores& rocks, const FsckOptions& options)
      : root_(root), rocks_(rocks), options_(options) {}

  // What start-up would sweep. A catalog that cannot be read names nothing, so nothing is left
  // over.
  absl::StatusOr<int64_t> Find() {
    BIF_ASSIGN_OR_RETURN(const auto posteriors, LivePosteriors(rocks_.catalog()));
    BIF_ASSIGN_OR_RETURN(const auto datasets, LiveDatasets(rocks_.catalog()));
    BIF_ASSIGN_OR_RETURN(const FileNames blobs, LiveBlobs(rocks_.catalog()));
    BIF_RETURN_IF_ERROR(Files("tmp", [](const std::string&) { return false; }));
    BIF_RETURN_IF_ERROR(
        Files("blobs", [&](const std::string& name) { return blobs.contains(name); }));
    BIF_RETURN_IF_ERROR(
        Files("draws", [&](const std::string& name) { return IsLiveDrawFile(posteriors, name); }));
    BIF_ASSIGN_OR_RETURN(const auto traced, rocks_.PosteriorsWithTraces());
    for (const uint64_t number : traced) {
      if (!posteriors.contains(number)) Tell(absl::StrCat("traces of no posterior: ", number), 0);
    }
    BIF_ASSIGN_OR_RETURN(const auto stored, rocks_.DatasetsWithSamples());
    for (const uint32_t number : stored) {
      if (!datasets.contains(number)) Tell(absl::StrCat("samples of no dataset: ", number), 0);
    }
    return count_;
  }

 private:
  template <typename IsLive>
  absl::Status Files(const std::string& folder, IsLive is_live) {
    const std::string directory = absl::StrCat(root_, "/", folder);
    if (!FileExists(directory)) return absl::OkStatus();
    BIF_ASSIGN_OR_RETURN(const auto names, ListFilesRecursively(directory));
    for (const std::string& name : names) {
      if (is_live(name)) continue;
      BIF_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(absl::StrCat(directory, "/", name)));
      Tell(absl::StrCat(folder, "/", name), bytes);
    }
    return absl::OkStatus();
  }
  void Tell(const std::string& object, int64_t bytes) {
    ++count_;
    if (options_.on_leftover) options_.on_leftover(object, bytes);
  }

  const std::string& root_;
  RocksStores& rocks_;
  const FsckOptions& options_;
  int64_t count_ = 0;
};

// Whether a database that does not open is damaged, rather than none of ours or not to be read now.
bool IsDamage(const absl::Status& opened) {
  return absl::IsDataLoss(opened) || absl::IsInternal(opened);
}

}  // namespace

absl::StatusOr<FsckReport> CheckDirectory(const std::string& root, const FsckOptions& options) {
  if (!FileExists(root)) return absl::NotFoundError(absl::StrCat(root, " does not exist"));
  if (!options.half_made_too) BIF_RETURN_IF_ERROR(RefuseHalfMade(root));
  BIF_ASSIGN_OR_RETURN(const auto lock, DirectoryLock::TakeForReading(root));
  RocksOptions rocks_options;
  rocks_options.path = absl::StrCat(root, "/db");
  rocks_options.log = [](std::string_view) {};
  FsckReport report;
  auto opened = OpenRocksStoresForReading(rocks_options);
  if (absl::IsNotFound(opened.status())) {
    return absl::NotFoundError(
        absl::StrCat(root, " is neither a data directory nor a backup: there is no database in ",
                     rocks_options.path));
  }
  if (IsDamage(opened.status())) {
    CheckRun run(options.check);
    run.Found({"the database", std::string(opened.status().message()),
               "bifd cannot start on it: restore a backup"});
    report.summary = run.summary();
    return report;
  }
  BIF_RETURN_IF_ERROR(opened.status());
  RocksStores& rocks = **opened;
  BIF_RETURN_IF_ERROR(CheckFormat(root, rocks.catalog()).status());

  absl::Mutex deletion;  // nobody deletes
  FileDrawStore draws(absl::StrCat(root, "/draws"), absl::StrCat(root, "/tmp"), rocks.catalog(),
                      deletion);
  FileBlobStore blobs(absl::StrCat(root, "/blobs"), absl::StrCat(root, "/tmp"), deletion);
  BIF_ASSIGN_OR_RETURN(report.summary, CheckEverything(rocks, draws, blobs, options.check));
  absl::StatusOr<int64_t> leftovers = Leftovers(root, rocks, options).Find();
  if (!absl::IsDataLoss(leftovers.status())) BIF_RETURN_IF_ERROR(leftovers.status());
  report.leftovers = leftovers.value_or(0);
  return report;
}

}  // namespace bif::storage
