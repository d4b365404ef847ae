// The configuration file of `bifd`: a bif.config.v1.DaemonConfig in protobuf's text format, and
// where in the file each field stands, so that whoever finds a value wrong can say where it is.
//
// Thread-compatible.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bif/config/v1/config.pb.h"

namespace bif::server {

class ConfigFile {
 public:
  // INVALID_ARGUMENT, with file, line and column, for what is not a DaemonConfig: a field that does
  // not exist is a mistake and not ignored. The status of ReadFile if the file cannot be read.
  static absl::StatusOr<ConfigFile> Read(const std::string& path);
  ConfigFile(ConfigFile&&) noexcept;
  ConfigFile& operator=(ConfigFile&&) noexcept;
  ~ConfigFile();

  const config::v1::DaemonConfig& message() const { return message_; }

  // The values of the scalar field at a dotted path, such as "device.threads", as text. Empty if
  // the file does not set it; several if it is repeated. No field on the way may be repeated.
  std::vector<std::string> Values(const std::string& field_path) const;

  // "FILE:LINE:COLUMN" of that field's first mention, or the file's name if there is none.
  std::string Where(const std::string& field_path) const;

 private:
  struct Locations;
  ConfigFile(std::string path, std::unique_ptr<Locations> locations);

  std::string path_;
  config::v1::DaemonConfig message_;
  std::unique_ptr<Locations> locations_;
};

}  // namespace bif::server
