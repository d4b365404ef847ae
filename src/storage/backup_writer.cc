// A backup is made in two steps. First everything gets a second name in a staging folder of the
// data directory, where hard links always work: RocksDB's own checkpoint, and links of the files
// that the checkpoint's catalog names. That takes as long as flushing and linking do, and only so
// long does nobody delete. Then, with all the time that it takes, what is staged is linked or
// copied to where the backup is to lie.
//
// A hard link is as good as a copy as long as nobody writes to the file under its other name, and
// nobody does: tables of RocksDB, draws, states and blobs are complete before they get their name,
// and are removed, not changed, when they are no longer wanted.
#include "src/storage/backup_writer.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/backup_list.h"
#include "src/storage/copy_target.h"
#include "src/storage/file_copy.h"
#include "src/storage/live_files.h"

namespace bif::storage {
namespace {

// Relative paths of the files that a catalog names.
absl::StatusOr<std::vector<std::string>> NamedFiles(Catalog& catalog) {
  std::vector<std::string> paths;
  BIF_ASSIGN_OR_RETURN(const auto posteriors, LivePosteriors(catalog));
  for (const auto& [number, names] : posteriors) {
    for (const std::string& name : names)
      paths.push_back(absl::StrCat("draws/", number, "/", name));
  }
  BIF_ASSIGN_OR_RETURN(const FileNames blobs, LiveBlobs(catalog));
  for (const std::string& blob : blobs) paths.push_back(absl::StrCat("blobs/", blob));
  return paths;
}

absl::StatusOr<std::vector<std::string>> FilesOfCheckpoint(const std::string& path) {
  RocksOptions options;
  options.path = path;
  options.memory_bytes = 8 << 20;
  options.log = [](std::string_view) {};
  BIF_ASSIGN_OR_RETURN(const auto checkpoint, OpenRocksStoresForReading(options));
  return NamedFiles(checkpoint->catalog());
}

// Second names for everything, below `staging`. Gives the files that were not there.
absl::StatusOr<std::vector<std::string>> Stage(const std::string& root, RocksStores& rocks,
                                               absl::Mutex& deletion, const std::string& staging) {
  std::vector<std::string> missing;
  // From before the checkpoint on: what its catalog names must still be there when it is linked.
  absl::MutexLock lock(&deletion);
  BIF_RETURN_IF_ERROR(rocks.Checkpoint(absl::StrCat(staging, "/db")));
  BIF_ASSIGN_OR_RETURN(const auto paths, FilesOfCheckpoint(absl::StrCat(staging, "/db")));
  for (const std::string& path : paths) {
    const std::string from = absl::StrCat(root, "/", path);
    const std::string to = absl::StrCat(staging, "/", path);
    BIF_RETURN_IF_ERROR(MakeDirectories(std::filesystem::path(to).parent_path()));
    absl::StatusOr<bool> linked = LinkFile(from, to);
    absl::Status status = linked.status();
    if (linked.ok() && !*linked) status = CopyFile(from, to, CancelToken());
    if (absl::IsNotFound(status)) {
      missing.push_back(path);
      continue;
    }
    BIF_RETURN_IF_ERROR(status);
  }
  return missing;
}

absl::StatusOr<BackupList> ListOf(const std::string& staging) {
  BackupList list;
  list.time = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
  BIF_ASSIGN_OR_RETURN(const auto paths, ListFilesRecursively(staging));
  for (const std::string& path : paths) {
    BIF_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(absl::StrCat(staging, "/", path)));
    list.files.push_back({path, bytes});
  }
  return list;
}

// Links or copies what is staged; gives the bytes that were copied.
absl::StatusOr<int64_t> Deliver(const std::string& staging, CopyTarget& target,
                                const BackupList& list, const BackupOptions& options) {
  BackupProgress progress;
  progress.files = static_cast<int64_t>(list.files.size());
  progress.bytes = list.bytes();
  int64_t copied = 0;
  for (const BackupList::File& file : list.files) {
    if (options.cancel.cancelled()) return absl::CancelledError("the backup was cancelled");
    const std::string from = absl::StrCat(staging, "/", file.path);
    bool linked = false;
    if (!options.copy) {
      BIF_ASSIGN_OR_RETURN(linked, target.Link(from, file.path));
      // Draws, states and blobs were synced when they got their names; of RocksDB's files an older
      // log may not have been.
      if (linked && absl::StartsWith(file.path, "db/")) BIF_RETURN_IF_ERROR(SyncFile(from));
    }
    if (!linked) {
      if (copied == 0)
        BIF_RETURN_IF_ERROR(target.HasSpaceFor(progress.bytes - progress.bytes_done));
      BIF_RETURN_IF_ERROR(target.Copy(from, file.path, options.cancel));
      copied += file.bytes;
    }
    ++progress.files_done;
    progress.bytes_done += file.bytes;
    if (options.on_progress) options.on_progress(progress);
  }
  return copied;
}

}  // namespace

absl::StatusOr<BackupReport> WriteBackup(const std::string& root, RocksStores& rocks,
                                         absl::Mutex& deletion, const BackupOptions& options) {
  if (options.directory.empty() || options.directory[0] != '/')
    return FieldError("directory", "must be an absolute path on the server's machine");
  BIF_ASSIGN_OR_RETURN(const std::string real_root, RealPath(root));
  BIF_ASSIGN_OR_RETURN(
      const auto target,
      CopyTarget::Create(options.directory, real_root,
                         absl::StrCat("A backup of ", real_root,
                                      " is being written here. If nobody does, it was cut off: "
                                      "remove this folder.")));
  const std::string staging = absl::StrCat(real_root, "/tmp/backup");
  BIF_RETURN_IF_ERROR(RemoveTree(staging));
  absl::Cleanup remove_staging = [&] { RemoveTree(staging).IgnoreError(); };
  BIF_RETURN_IF_ERROR(MakeDirectories(staging));

  BackupReport report;
  BIF_ASSIGN_OR_RETURN(report.missing, Stage(real_root, rocks, deletion, staging));
  BIF_ASSIGN_OR_RETURN(const BackupList list, ListOf(staging));
  report.files = static_cast<int64_t>(list.files.size());
  report.bytes = list.bytes();
  BIF_ASSIGN_OR_RETURN(report.copied_bytes, Deliver(staging, *target, list, options));
  // The list after all that it lists, and the mark after the list.
  BIF_RETURN_IF_ERROR(target->Sync());
  BIF_RETURN_IF_ERROR(WriteBackupList(target->path(), list));
  BIF_RETURN_IF_ERROR(target->Finish());
  return report;
}

}  // namespace bif::storage
