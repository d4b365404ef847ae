#include "src/storage/restore.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/backup_list.h"
#include "src/storage/copy_target.h"
#include "src/storage/fsck.h"
#include "src/storage/half_made.h"

namespace bif::storage {
namespace {

// Reads every byte of the copy; gives how many objects are damaged.
absl::StatusOr<int64_t> CheckCopy(const std::string& directory, const RestoreOptions& options) {
  FsckOptions fsck;
  fsck.half_made_too = true;
  fsck.check.cancel = options.cancel;
  fsck.check.on_damage = options.on_damage;
  BIF_ASSIGN_OR_RETURN(const FsckReport report, CheckDirectory(directory, fsck));
  return report.summary.damaged;
}

}  // namespace

absl::StatusOr<RestoreReport> RestoreBackup(const RestoreOptions& options) {
  BIF_RETURN_IF_ERROR(RefuseHalfMade(options.backup));
  BIF_ASSIGN_OR_RETURN(const BackupList list, ReadBackupList(options.backup));
  BIF_RETURN_IF_ERROR(CheckBackupFiles(options.backup, list));
  BIF_ASSIGN_OR_RETURN(
      const auto target,
      CopyTarget::Create(options.data_directory, options.backup,
                         absl::StrCat("The backup ", options.backup,
                                      " is being restored here. If nobody does, it was cut off: "
                                      "remove this folder and restore again.")));
  RestoreReport report;
  report.backup_time = list.time;
  report.files = static_cast<int64_t>(list.files.size());
  report.bytes = list.bytes();
  BIF_RETURN_IF_ERROR(target->HasSpaceFor(report.bytes));
  int64_t done = 0;
  for (const BackupList::File& file : list.files) {
    BIF_RETURN_IF_ERROR(
        target->Copy(absl::StrCat(options.backup, "/", file.path), file.path, options.cancel));
    done += file.bytes;
    if (options.on_progress) options.on_progress(done, report.bytes);
  }
  BIF_ASSIGN_OR_RETURN(report.damaged, CheckCopy(target->path(), options));
  if (report.damaged > 0 && !options.keep_damaged) {
    return absl::DataLossError(
        absl::StrCat(options.backup, " is damaged: ", report.damaged,
                     " objects, named above; nothing was restored. Restore an older backup, or "
                     "this one all the same with --keep-damaged"));
  }
  BIF_RETURN_IF_ERROR(target->Finish());
  return report;
}

}  // namespace bif::storage
