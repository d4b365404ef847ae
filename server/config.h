// What `bifd` was asked to do, from its command line or a config file (--config FILE, in TOML with
// the flags' names).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "src/observe/log.h"

namespace bif::server {

struct DaemonConfig {
  std::string data_directory;
  std::string listen = "127.0.0.1:7311";
  std::string metrics = "127.0.0.1:0";     // empty: no metrics over HTTP
  std::string device = "cpu";              // or cuda:N
  int threads = 0;                         // of the device; 0: one a core
  std::vector<std::string> allowed_roots;  // folders whose files callers may name
  int64_t memory_mib = 512;                // for caches: RocksDB's, decoded traces, decoded draws
  std::string port_file;                   // gets the port alone, for scripts; empty: none
  absl::Duration drain_time = absl::Seconds(20);
  observe::LogLevel log_level = observe::LogLevel::kInfo;
  observe::LogFormat log_format = observe::LogFormat::kText;
};

struct CommandLine {
  DaemonConfig config;
  // Set if the program is to end at once (--help, --version, a wrong flag): its exit code, and what
  // to print.
  std::optional<int> exit_code;
  std::string message;
};

CommandLine ParseCommandLine(int argc, const char* const* argv);

// What this build calls itself.
std::string VersionText();

}  // namespace bif::server
