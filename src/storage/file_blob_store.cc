#include "src/storage/file_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/durable_file.h"

namespace bif::storage {

class FileBlobStore::FileWriter : public BlobStore::Writer {
 public:
  FileWriter(FileBlobStore& store, std::unique_ptr<DurableFile> file)
      : store_(store), file_(std::move(file)) {}

  absl::Status Append(std::string_view bytes) override {
    digest_.Update(bytes);
    return file_->Append(bytes);
  }

  absl::StatusOr<std::string> Finish() override {
    const std::string digest = ToHex(digest_.Finish());
    const std::string path = store_.PathOf(digest);
    if (::chmod(file_->path().c_str(), 0444) != 0)
      return ErrnoStatus(errno, "make read-only", file_->path());
    absl::Status published = file_->Publish(path);
    if (absl::IsAlreadyExists(published)) {
      if (store_.Verify(digest).ok()) {
        // The same bytes are there, but perhaps not for good: whoever gave them this name may have
        // failed to sync it, or be about to.
        BIF_RETURN_IF_ERROR(SyncDirectory(store_.root_));
        return digest;
      }
      absl::ReaderMutexLock lock(&store_.deletion_);
      BIF_RETURN_IF_ERROR(RemoveFile(path));  // they were damaged: these are better
      published = file_->Publish(path);
    }
    BIF_RETURN_IF_ERROR(published);
    return digest;
  }

  const std::string& temporary_path() const override { return file_->path(); }

 private:
  FileBlobStore& store_;
  const std::unique_ptr<DurableFile> file_;
  Sha256 digest_;
};

absl::StatusOr<std::unique_ptr<BlobStore::Writer>> FileBlobStore::NewBlob() {
  BIF_ASSIGN_OR_RETURN(auto file, DurableFile::Create(temporary_directory_));
  return std::make_unique<FileWriter>(*this, std::move(file));
}

absl::StatusOr<std::string> FileBlobStore::Import(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  BIF_ASSIGN_OR_RETURN(const std::unique_ptr<Writer> blob, NewBlob());
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "read", path);
    }
    if (got == 0) return blob->Finish();
    BIF_RETURN_IF_ERROR(blob->Append({buffer.data(), static_cast<size_t>(got)}));
  }
}

absl::Status FileBlobStore::Verify(const std::string& digest_hex) {
  const std::string path = PathOf(digest_hex);
  BIF_ASSIGN_OR_RETURN(const Digest digest, DigestFile(path));
  if (ToHex(digest) == digest_hex) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " is damaged: its bytes have another SHA-256; upload it again"));
}

std::string FileBlobStore::PathOf(const std::string& digest_hex) const {
  return absl::StrCat(root_, "/", digest_hex);
}

absl::Status FileBlobStore::Delete(const std::string& digest_hex) {
  BIF_RETURN_IF_ERROR(
      DigestFromHex(digest_hex).status());  // nothing but a blob can be removed this way
  absl::ReaderMutexLock lock(&deletion_);
  return RemoveFile(PathOf(digest_hex));
}

}  // namespace bif::storage
