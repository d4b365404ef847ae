// What `bifd` was asked to do, from its command line and a configuration file (--config FILE, a
// bif.config.v1.DaemonConfig in protobuf's text format; deploy/bifd.textproto is a sample). A flag
// wins over the file, and the file over the defaults, which stand here.
//
// Free functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/certificates.h"
#include "src/observe/log.h"

namespace bif::server {

struct DaemonConfig {
  std::string data_directory;
  std::string listen = "127.0.0.1:7311";
  std::string metrics = "127.0.0.1:0";              // empty: no metrics over HTTP
  std::string device = "cpu";                       // or cuda:N
  int threads = 0;                                  // of the device; 0: one a core
  absl::Duration device_stuck = absl::Minutes(10);  // a step that takes longer means that it hangs
  std::vector<std::string> allowed_roots;           // folders whose files callers may name
  int64_t memory_mib = 512;     // for caches: RocksDB's, decoded traces, decoded draws
  int scrub_hours = 7 * 24;     // from one scrub to the next; 0: none by itself
  bool require_tokens = false;  // of callers that do not use the operator's socket
  TlsFiles tls;
  std::string port_file;  // gets the port alone, for scripts; empty: none
  absl::Duration drain_time = absl::Seconds(20);
  observe::LogLevel log_level = observe::LogLevel::kInfo;
  observe::LogFormat log_format = observe::LogFormat::kText;

  bool operator==(const DaemonConfig&) const = default;
};

struct CommandLine {
  DaemonConfig config;
  // Set if the program is to end at once (--help, --version, a mistake): its exit code, 0 or 2, and
  // what to print. A mistake is one sentence that says where it is and what to do.
  std::optional<int> exit_code;
  std::string message;
};

// Reads the configuration file too, so calling it again sees what has changed there.
CommandLine ParseCommandLine(int argc, const char* const* argv);

// Every setting as (field of the configuration file, value as text).
std::vector<std::pair<std::string, std::string>> ConfigFields(const DaemonConfig& config);

// What differs between two configurations.
struct ConfigChange {
  std::string field;
  std::string before;
  std::string after;
  bool needs_restart = true;  // false: a reload applies it
};
std::vector<ConfigChange> ConfigChanges(const DaemonConfig& before, const DaemonConfig& after);

// What this build calls itself.
std::string VersionText();

}  // namespace bif::server
