#include "src/storage/store.h"

#include <atomic>
#include <cstdio>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/backup_list.h"
#include "src/storage/backup_writer.h"
#include "src/storage/directory_lock.h"
#include "src/storage/file_blob_store.h"
#include "src/storage/file_draw_store.h"
#include "src/storage/half_made.h"
#include "src/storage/rocksdb/rocks_stores.h"
#include "src/storage/scrub.h"
#include "src/storage/sweep.h"

namespace bif::storage {
namespace {

void PrintToStderr(std::string_view line) {
  std::fprintf(stderr, "rocksdb: %.*s\n", static_cast<int>(line.size()), line.data());
}

// A backup is left as it is: what is changed there is no backup any more.
absl::Status RefuseBackup(const std::string& root) {
  if (!HasBackupList(root)) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        root, " is a backup: make a data directory of it with bifd restore ", root,
                        " DIRECTORY")),
                    "DIRECTORY_IS_A_BACKUP");
}

class StoreImpl : public Store {
 public:
  StoreImpl(const StoreOptions& options, std::unique_ptr<DirectoryLock> lock,
            std::unique_ptr<RocksStores> rocks, const RecoveryReport& recovery)
      : options_(options),
        lock_(std::move(lock)),
        rocks_(std::move(rocks)),
        draws_(absl::StrCat(options.root, "/draws"), absl::StrCat(options.root, "/tmp"),
               rocks_->catalog(), deletion_),
        blobs_(absl::StrCat(options.root, "/blobs"), absl::StrCat(options.root, "/tmp"), deletion_),
        recovery_(recovery) {}

  Catalog& catalog() override { return rocks_->catalog(); }
  SampleStore& samples() override { return rocks_->samples(); }
  TraceStore& traces() override { return rocks_->traces(); }
  DrawStore& draws() override { return draws_; }
  BlobStore& blobs() override { return blobs_; }
  const RecoveryReport& recovery() const override { return recovery_; }
  absl::StatusOr<int64_t> FreeDiskBytes() override { return bif::FreeDiskBytes(options_.root); }

  absl::StatusOr<BackupReport> Backup(const BackupOptions& options) override {
    if (!backup_.TryLock()) {
      return WithReason(
          absl::FailedPreconditionError("a backup is being made already: wait for its end"),
          "BACKUP_RUNNING");
    }
    absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { backup_.Unlock(); };
    return WriteBackup(options_.root, *rocks_, deletion_, options);
  }

  absl::StatusOr<CheckSummary> Scrub(const CheckOptions& options) override {
    if (!scrub_.TryLock()) {
      return WithReason(absl::FailedPreconditionError("a scrub goes on already: wait for its end"),
                        "SCRUB_RUNNING");
    }
    absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { scrub_.Unlock(); };
    return CheckEverything(*rocks_, draws_, blobs_, options);
  }

  absl::Status HasSpaceFor(int64_t bytes) override {
    BIF_ASSIGN_OR_RETURN(const int64_t free, FreeDiskBytes());
    // After a refusal a quarter more has to be free, so that work does not start and stop with
    // every file that goes.
    const int64_t watermark = options_.min_free_disk_bytes;
    const int64_t wanted = refused_.load() ? watermark + watermark / 4 : watermark;
    const bool enough = free - wanted >= bytes;
    refused_.store(!enough);
    if (enough) return absl::OkStatus();
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            "the disk of ", options_.root, " has ", free, " bytes free; ", bytes,
            " are wanted and ", wanted, " are to stay free: delete posteriors or make room")),
        "DISK_FULL");
  }

 private:
  const StoreOptions options_;
  // Released last: whoever takes the lock next must find the database closed.
  const std::unique_ptr<DirectoryLock> lock_;
  const std::unique_ptr<RocksStores> rocks_;
  absl::Mutex deletion_;  // guards the existence of draw files and blobs: they are removed under it
  absl::Mutex backup_;    // guards the staging folder
  absl::Mutex scrub_;     // guards nothing: one at a time is enough for the disk
  FileDrawStore draws_;
  FileBlobStore blobs_;
  const RecoveryReport recovery_;
  std::atomic<bool> refused_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  const absl::Time start = absl::Now();
  BIF_RETURN_IF_ERROR(RefuseHalfMade(options.root));
  BIF_RETURN_IF_ERROR(RefuseBackup(options.root));
  // A folder that power loss takes back takes with it what was acknowledged inside: RocksDB syncs
  // its folder's contents, but not the folder's own name, and nobody but us the root's.
  for (const char* folder : {"/blobs", "/draws", "/tmp", "/db"}) {
    BIF_RETURN_IF_ERROR(MakeDirectories(absl::StrCat(options.root, folder)));
  }
  BIF_RETURN_IF_ERROR(MakeDirectoriesDurably(options.root));
  BIF_ASSIGN_OR_RETURN(auto lock, DirectoryLock::Take(options.root));
  RocksOptions rocks_options;
  rocks_options.path = absl::StrCat(options.root, "/db");
  rocks_options.temporary_path = absl::StrCat(options.root, "/tmp");
  rocks_options.memory_bytes = options.memory_bytes;
  rocks_options.log = options.log ? options.log : PrintToStderr;
  BIF_ASSIGN_OR_RETURN(auto rocks, OpenRocksStores(rocks_options));
  BIF_ASSIGN_OR_RETURN(const pb::StoreHeader header, CheckFormat(options.root, rocks->catalog()));
  BIF_RETURN_IF_ERROR(RaiseFormat(header, rocks->catalog()));
  BIF_ASSIGN_OR_RETURN(RecoveryReport recovery, SweepDirectory(options.root, *rocks));
  recovery.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return std::make_unique<StoreImpl>(options, std::move(lock), std::move(rocks), recovery);
}

}  // namespace bif::storage
