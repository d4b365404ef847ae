#include "src/storage/format.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::storage {

absl::StatusOr<pb::StoreHeader> CheckFormat(const std::string& root, Catalog& catalog) {
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
  return header;
}

absl::Status RaiseFormat(pb::StoreHeader header, Catalog& catalog) {
  if (header.format_version() == kFormatVersion) return absl::OkStatus();
  header.set_format_version(kFormatVersion);
  WriteSet writes;
  writes.Put(HeaderKey(), header);
  return catalog.Commit(writes);
}

}  // namespace bif::storage
