#include "src/storage/backup_list.h"

#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/base/digest.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

constexpr absl::string_view kFirstLine = "bif backup 1";

std::string PathOf(const std::string& directory) { return absl::StrCat(directory, "/BACKUP"); }

std::string ChecksumLine(std::string_view text) {
  return absl::StrFormat("checksum %016x", Checksum(text));
}

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, " is damaged: ", what, "; take another backup"));
}

// A path that leads out of the directory is damage, not a file to touch.
bool StaysInside(absl::string_view path) {
  if (path.empty()) return false;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

}  // namespace

int64_t BackupList::bytes() const {
  int64_t total = 0;
  for (const File& file : files) total += file.bytes;
  return total;
}

bool HasBackupList(const std::string& directory) { return FileExists(PathOf(directory)); }

absl::Status WriteBackupList(const std::string& directory, const BackupList& list) {
  std::string text = absl::StrCat(kFirstLine, "\ntime ", list.time, "\n");
  for (const BackupList::File& file : list.files)
    absl::StrAppend(&text, file.bytes, " ", file.path, "\n");
  absl::StrAppend(&text, ChecksumLine(text), "\n");
  return WriteFileDurably(directory, PathOf(directory), text);
}

absl::StatusOr<BackupList> ReadBackupList(const std::string& directory) {
  const std::string path = PathOf(directory);
  absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          directory,
                          " is no complete backup: it has no file BACKUP, which is written last; "
                          "take another backup")),
                      "NOT_A_BACKUP");
  }
  BIF_RETURN_IF_ERROR(text.status());
  const size_t last_line = text->rfind("checksum ");
  if (last_line == std::string::npos ||
      text->substr(last_line) != ChecksumLine(std::string_view(*text).substr(0, last_line)) + "\n")
    return Damaged(path, "wrong checksum");
  BackupList list;
  const std::vector<absl::string_view> lines =
      absl::StrSplit(absl::string_view(*text).substr(0, last_line), '\n', absl::SkipEmpty());
  if (lines.size() < 2 || lines[0] != kFirstLine || !absl::StartsWith(lines[1], "time "))
    return Damaged(path, "it is none of a version that this build knows");
  list.time = std::string(absl::StripPrefix(lines[1], "time "));
  for (size_t i = 2; i < lines.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(lines[i], absl::MaxSplits(' ', 1));
    BackupList::File file;
    if (!absl::SimpleAtoi(parts.first, &file.bytes) || file.bytes < 0 || !StaysInside(parts.second))
      return Damaged(path, absl::StrCat("line ", i + 1, " names no file"));
    file.path = std::string(parts.second);
    list.files.push_back(std::move(file));
  }
  return list;
}

absl::Status CheckBackupFiles(const std::string& directory, const BackupList& list) {
  for (const BackupList::File& file : list.files) {
    const std::string path = absl::StrCat(directory, "/", file.path);
    const absl::StatusOr<int64_t> bytes = FileSize(path);
    if (absl::IsNotFound(bytes.status()))
      return absl::DataLossError(absl::StrCat(path, " is missing; take another backup"));
    BIF_RETURN_IF_ERROR(bytes.status());
    if (*bytes != file.bytes) {
      return absl::DataLossError(
          absl::StrCat(path, " has ", *bytes, " bytes, not ", file.bytes, "; take another backup"));
    }
  }
  return absl::OkStatus();
}

}  // namespace bif::storage
