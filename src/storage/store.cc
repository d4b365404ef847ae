#include "src/storage/store.h"

#include <atomic>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/directory_lock.h"
#include "src/storage/file_blob_store.h"
#include "src/storage/file_draw_store.h"
#include "src/storage/rocksdb/rocks_stores.h"
#include "src/storage/sweep.h"

namespace bif::storage {
namespace {

void PrintToStderr(std::string_view line) {
  std::fprintf(stderr, "rocksdb: %.*s\n", static_cast<int>(line.size()), line.data());
}

// Makes the header of a new directory, raises the version of an old one, or refuses one of the
// future.
absl::Status CheckFormat(const std::string& root, Catalog& catalog) {
  absl::StatusOr<pb::StoreHeader> header = catalog.Get<pb::StoreHeader>(HeaderKey());
  if (absl::IsNotFound(header.status())) {
    header.emplace();
    header->set_created_by("bif");
  }
  BIF_RETURN_IF_ERROR(header.status());
  if (header->format_version() > kFormatVersion) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          root, " has storage format ", header->format_version(), ", made by '",
                          header->created_by(), "'; this build knows formats up to ",
                          kFormatVersion, ": use a newer build")),
                      "STORAGE_FORMAT_TOO_NEW");
  }
  if (header->format_version() == kFormatVersion) return absl::OkStatus();
  header->set_format_version(kFormatVersion);
  WriteSet writes;
  writes.Put(HeaderKey(), *header);
  return catalog.Commit(writes);
}

class StoreImpl : public Store {
 public:
  StoreImpl(const StoreOptions& options, std::unique_ptr<DirectoryLock> lock,
            std::unique_ptr<RocksStores> rocks, const RecoveryReport& recovery)
      : options_(options),
        lock_(std::move(lock)),
        rocks_(std::move(rocks)),
        draws_(absl::StrCat(options.root, "/draws"), absl::StrCat(options.root, "/tmp"),
               rocks_->catalog()),
        blobs_(absl::StrCat(options.root, "/blobs"), absl::StrCat(options.root, "/tmp")),
        recovery_(recovery) {}

  Catalog& catalog() override { return rocks_->catalog(); }
  SampleStore& samples() override { return rocks_->samples(); }
  TraceStore& traces() override { return rocks_->traces(); }
  DrawStore& draws() override { return draws_; }
  BlobStore& blobs() override { return blobs_; }
  const RecoveryReport& recovery() const override { return recovery_; }
  absl::StatusOr<int64_t> FreeDiskBytes() override { return bif::FreeDiskBytes(options_.root); }

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
  FileDrawStore draws_;
  FileBlobStore blobs_;
  const RecoveryReport recovery_;
  std::atomic<bool> refused_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  for (const char* folder : {"", "/blobs", "/draws", "/tmp"}) {
    BIF_RETURN_IF_ERROR(MakeDirectories(absl::StrCat(options.root, folder)));
  }
  BIF_RETURN_IF_ERROR(SyncDirectory(options.root));
  BIF_ASSIGN_OR_RETURN(auto lock, DirectoryLock::Take(options.root));
  RocksOptions rocks_options;
  rocks_options.path = absl::StrCat(options.root, "/db");
  rocks_options.temporary_path = absl::StrCat(options.root, "/tmp");
  rocks_options.memory_bytes = options.memory_bytes;
  rocks_options.log = options.log ? options.log : PrintToStderr;
  BIF_ASSIGN_OR_RETURN(auto rocks, OpenRocksStores(rocks_options));
  BIF_RETURN_IF_ERROR(CheckFormat(options.root, rocks->catalog()));
  BIF_ASSIGN_OR_RETURN(const RecoveryReport recovery, SweepDirectory(options.root, *rocks));
  return std::make_unique<StoreImpl>(options, std::move(lock), std::move(rocks), recovery);
}

}  // namespace bif::storage
