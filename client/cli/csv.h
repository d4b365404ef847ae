// Comma-separated values (RFC 4180) to a file or to stdout.
#pragma once

#include <fstream>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/cli/session.h"

namespace bif::client {

// Quoted where it has to be.
std::string CsvCell(const std::string& text);
// Enough digits to read the same float back.
std::string CsvNumber(float value);

// A file, or the session's output for "-". Confined to one thread.
class CsvFile {
 public:
  CsvFile(Session& session, const std::string& path);
  std::ostream& stream();
  // UNAVAILABLE if something could not be written.
  absl::Status Close();

 private:
  Session& session_;
  const std::string path_;
  std::ofstream file_;
};

}  // namespace bif::client
