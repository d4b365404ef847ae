// The entries of a stored (uncompressed) zip, such as torch.export writes. Zip64 is read too;
// nothing is unpacked.
//
// The file is a stranger's: every offset is checked before it is followed, so that an entry's bytes
// lie inside the file, under the name that the directory gives, and no two entries share a name or
// a byte. Refusals are INVALID_ARGUMENT and name the entry. Immutable, so thread-safe; views live
// as long as the archive's bytes.
//
// Source of the layout: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header) to 4.3.16 (end of central
// directory). CRCs are not compared: PyTorch can be told to leave them out.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/base/files.h"

namespace bif::engine {

class ZipArchive {
 public:
  static absl::StatusOr<ZipArchive> Open(const std::string& path);  // maps the file
  static absl::StatusOr<ZipArchive> Parse(
      std::string_view bytes);  // `bytes` must outlive the archive

  using Entries = std::map<std::string, std::string_view, std::less<>>;
  const Entries& entries() const { return entries_; }  // name to bytes

 private:
  std::shared_ptr<const MappedFile> file_;  // null with Parse
  Entries entries_;
};

}  // namespace bif::engine
