#include "server/config.h"

#include <CLI/CLI.hpp>

#include "server/server.h"

namespace bif::server {
namespace {

// CLI11 wants an empty text for a good value, and what is wrong with a bad one.
std::string Complaint(const absl::Status& status) { return std::string(status.message()); }

std::string CheckAddress(const std::string& text) {
  return Complaint(ParseLoopbackAddress(text).status());
}
std::string CheckMetricsAddress(const std::string& text) {
  return text == "off" ? "" : CheckAddress(text);
}
std::string CheckLevel(const std::string& text) {
  return Complaint(observe::ParseLogLevel(text).status());
}
std::string CheckFormat(const std::string& text) {
  return Complaint(observe::ParseLogFormat(text).status());
}

}  // namespace

std::string VersionText() { return BIF_VERSION; }

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CommandLine line;
  DaemonConfig& config = line.config;
  std::string level = "info";
  std::string format = "text";
  double drain_seconds = absl::ToDoubleSeconds(config.drain_time);

  CLI::App app{
      "bifd: samples local posteriors and answers which training samples made a model behave as it "
      "does.",
      "bifd"};
  app.set_version_flag("--version", "bifd " + VersionText());
  app.set_config("--config", "", "read flags from a TOML file; the command line wins");
  app.add_option("--data", config.data_directory, "the data directory; made if it is missing")
      ->required();
  app.add_option("--listen", config.listen, "loopback host:port; port 0 takes any free one")
      ->check(CheckAddress)
      ->capture_default_str();
  app.add_option("--metrics", config.metrics, "loopback host:port for Prometheus, or 'off'")
      ->check(CheckMetricsAddress)
      ->capture_default_str();
  app.add_option("--device", config.device, "cpu or cuda:N")->capture_default_str();
  app.add_option("--threads", config.threads, "threads of the device; 0: one a core")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--allow-root", config.allowed_roots,
                 "a folder whose files callers may name; repeatable")
      ->check(CLI::ExistingDirectory);
  app.add_option("--memory-mib", config.memory_mib, "memory for caches")
      ->check(CLI::Range(64, 1 << 20))
      ->capture_default_str();
  app.add_option("--port-file", config.port_file, "write the port there once the daemon serves");
  app.add_option("--drain-seconds", drain_seconds, "how long calls may go on after SIGTERM")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--log-level", level, "debug, info, warning or error")
      ->check(CheckLevel)
      ->capture_default_str();
  app.add_option("--log-format", format, "text or json")->check(CheckFormat)->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    line.exit_code = app.exit(error, out, out) == 0 ? 0 : 2;
    line.message = out.str();
    return line;
  }
  config.drain_time = absl::Seconds(drain_seconds);
  config.log_level = *observe::ParseLogLevel(level);
  config.log_format = *observe::ParseLogFormat(format);
  if (config.metrics == "off") config.metrics.clear();
  return line;
}

}  // namespace bif::server
