// The daemon's configuration file: a mistake is said with its place, and what is taken is what the
// file says.
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include "server/config.h"
#include "server/config_file.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

void CheckFile(const std::string& path) {
  const auto file = server::ConfigFile::Read(path);
  if (!file.ok()) {
    fuzz::RequireRefusal(file.status(), absl::StatusCode::kInvalidArgument);
    fuzz::Require(file.status().message().find(path) != absl::string_view::npos,
                  "a mistake says where it is");
    return;
  }
  std::string text;
  google::protobuf::TextFormat::PrintToString(file->message(), &text);
  const fuzz::MemoryFile printed(text);
  const auto again = server::ConfigFile::Read(printed.path());
  fuzz::Require(
      again.ok() && again->message().SerializeAsString() == file->message().SerializeAsString(),
      "what was read, printed again, is read as the same");
  for (const auto& [field, value] : server::ConfigFields(server::DaemonConfig())) {
    fuzz::Require(file->Values(field) == again->Values(field), "with the same values");
    fuzz::Require(file->Where(field).starts_with(path), "each of which has a place");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fuzz::MemoryFile file(fuzz::Input(data, size).rest());
  CheckFile(file.path());
  const std::string flag = "--config=" + file.path();
  const char* const arguments[] = {"bifd", "--data=/nowhere", flag.c_str()};
  const server::CommandLine line = server::ParseCommandLine(3, arguments);
  if (line.exit_code.has_value()) {
    fuzz::Require(*line.exit_code == 2 && !line.message.empty(), "a refusal says why");
    return 0;
  }
  fuzz::Require(line.config.threads >= 0 && line.config.memory_mib > 0 &&
                    line.config.scrub_hours >= 0 &&
                    line.config.drain_time >= absl::ZeroDuration() &&
                    line.config.device_stuck > absl::ZeroDuration(),
                "accepted numbers are in bounds");
  fuzz::Require(server::ConfigFields(line.config).size() ==
                    server::ConfigFields(server::DaemonConfig()).size(),
                "each setting has a value");
  fuzz::Require(server::ConfigChanges(line.config, line.config).empty(), "nothing differs");
  return 0;
}
