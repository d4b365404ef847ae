// BlobStore as read-only files. Thread-safe.
#pragma once

#include <string>

#include "absl/synchronization/mutex.h"
#include "src/storage/blob_store.h"

namespace bif::storage {

class FileBlobStore : public BlobStore {
 public:
  // Whoever holds `deletion` keeps every file that is there.
  FileBlobStore(std::string root, std::string temporary_directory, absl::Mutex& deletion)
      : root_(std::move(root)),
        temporary_directory_(std::move(temporary_directory)),
        deletion_(deletion) {}

  absl::StatusOr<std::unique_ptr<Writer>> NewBlob() override;
  absl::StatusOr<std::string> Import(const std::string& path) override;
  absl::Status Verify(const std::string& digest_hex) override;
  std::string PathOf(const std::string& digest_hex) const override;
  absl::Status Delete(const std::string& digest_hex) override;

 private:
  class FileWriter;
  const std::string root_;
  const std::string temporary_directory_;
  absl::Mutex& deletion_;
};

}  // namespace bif::storage
