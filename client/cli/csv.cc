#include "client/cli/csv.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace bif::client {

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string CsvNumber(float value) { return absl::StrFormat("%.9g", value); }

CsvFile::CsvFile(Session& session, const std::string& path) : session_(session), path_(path) {
  if (path != "-") file_.open(path, std::ios::trunc);
}

std::ostream& CsvFile::stream() {
  if (path_ == "-") return session_.out;
  return file_;
}

absl::Status CsvFile::Close() {
  stream().flush();
  if (!stream()) return absl::UnavailableError(absl::StrCat("cannot write ", path_));
  return absl::OkStatus();
}

}  // namespace bif::client
