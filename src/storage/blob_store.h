// Programs and weights as they came: read-only files named by their SHA-256. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif::storage {

class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Bytes that arrive in chunks. Dropped before Finish, it leaves nothing behind.
  // Thread-compatible.
  class Writer {
   public:
    virtual ~Writer() = default;
    virtual absl::Status Append(std::string_view bytes) = 0;
    virtual absl::StatusOr<std::string> Finish() = 0;       // the blob's SHA-256 in hex; durable
    virtual const std::string& temporary_path() const = 0;  // to look at the file before Finish
  };
  virtual absl::StatusOr<std::unique_ptr<Writer>> NewBlob() = 0;

  // Copies a file in.
  virtual absl::StatusOr<std::string> Import(const std::string& path) = 0;
  // Reads the whole blob again. DATA_LOSS names it if its bytes are no longer those of its digest.
  virtual absl::Status Verify(const std::string& digest_hex) = 0;
  virtual std::string PathOf(const std::string& digest_hex) const = 0;
  virtual absl::Status Delete(const std::string& digest_hex) = 0;
};

}  // namespace bif::storage
