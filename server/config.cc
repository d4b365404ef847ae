#include "server/config.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "server/config_file.h"
#include "server/offline.h"
#include "server/server.h"
#include "server/setting.h"
#include "src/base/status.h"
#include "src/observe/log_format.h"

namespace bif::server {
namespace {

absl::Status CheckAddress(const std::string& text) { return ParseListenAddress(text).status(); }

SettingValue MetricsValue(std::string& variable) {
  return {.set = [&variable](const std::vector<std::string>& texts) -> absl::Status {
            if (texts[0] != "off") BIF_RETURN_IF_ERROR(ParseLoopbackAddress(texts[0]).status());
            variable = texts[0] == "off" ? "" : texts[0];
            return absl::OkStatus();
          },
          .show = [&variable] { return variable.empty() ? "off" : variable; }};
}

SettingValue LevelValue(observe::LogLevel& variable) {
  return {.set = [&variable](const std::vector<std::string>& texts) -> absl::Status {
            BIF_ASSIGN_OR_RETURN(variable, observe::ParseLogLevel(texts[0]));
            return absl::OkStatus();
          },
          .show = [&variable] { return std::string(observe::LogLevelName(variable)); }};
}

SettingValue FormatValue(observe::LogFormat& variable) {
  return {.set = [&variable](const std::vector<std::string>& texts) -> absl::Status {
            BIF_ASSIGN_OR_RETURN(variable, observe::ParseLogFormat(texts[0]));
            return absl::OkStatus();
          },
          .show = [&variable] { return variable == observe::LogFormat::kJson ? "json" : "text"; }};
}

// All settings: one line each, for the file, the command line, --help and reloading.
std::vector<Setting> SettingsOf(DaemonConfig& c) {
  constexpr Takes kReload = Takes::kReload;
  return {
      {"storage.data_directory", "--data",
       "the data directory; made if it is missing (required here or in the file)",
       TextValue(c.data_directory)},
      {"storage.allowed_roots", "--allow-root", "a folder whose files callers may name; repeatable",
       FoldersValue(c.allowed_roots)},
      {"storage.scrub_hours", "--scrub-hours",
       "how often everything stored is compared with its checksums; 0: never",
       WholeValue(c.scrub_hours, 0, 24 * 366)},
      {"listener.address", "--listen",
       "host:port, loopback without a certificate; port 0 takes any free one",
       TextValue(c.listen, CheckAddress)},
      {"listener.port_file", "--port-file", "write the port there once the daemon serves",
       TextValue(c.port_file)},
      {"listener.require_tokens", "--require-tokens",
       "true or false: whether every caller must send a token", BoolValue(c.require_tokens)},
      {"listener.tls_certificate", "--tls-certificate",
       "PEM file; with it the listener speaks TLS, and takes any address",
       TextValue(c.tls.certificate)},
      {"listener.tls_key", "--tls-key", "PEM file of the certificate's key", TextValue(c.tls.key)},
      {"listener.tls_client_ca", "--tls-client-ca",
       "PEM file of the authority whose certificates clients must show",
       TextValue(c.tls.client_ca)},
      {"metrics.address", "--metrics", "loopback host:port for Prometheus, or 'off'",
       MetricsValue(c.metrics)},
      {"device.name", "--device", "cpu or cuda:N", TextValue(c.device)},
      {"device.threads", "--threads", "threads of the device; 0: one a core",
       WholeValue(c.threads, 0, 4096)},
      {"device.stuck_seconds", "--device-stuck-seconds",
       "a step of the device that takes longer means that it hangs: the daemon is not ready then",
       SecondsValue(c.device_stuck, 1, 86400)},
      {"memory.cache_mib", "--memory-mib", "memory for caches",
       WholeValue(c.memory_mib, 64, 1 << 20)},
      {"drain.seconds", "--drain-seconds", "how long calls may go on after SIGTERM",
       SecondsValue(c.drain_time, 0, 3600)},
      {"log.level", "--log-level", "debug, info, warning or error", LevelValue(c.log_level),
       kReload},
      {"log.format", "--log-format", "text or json", FormatValue(c.log_format), kReload},
  };
}

absl::Status At(const std::string& place, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", status.message()));
}

absl::Status ApplyFile(const std::string& path, const std::vector<Setting>& settings) {
  absl::StatusOr<ConfigFile> file = ConfigFile::Read(path);
  if (!file.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.status().message(),
                     "; correct what --config names, deploy/bifd.textproto shows every field"));
  }
  for (const Setting& setting : settings) {
    const std::vector<std::string> values = file->Values(setting.field);
    if (values.empty()) continue;
    const absl::Status set = setting.value.set(values);
    if (!set.ok()) return At(absl::StrCat(file->Where(setting.field), ": ", setting.field), set);
  }
  return absl::OkStatus();
}

absl::Status ApplyFlags(const CLI::App& app, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    const CLI::Option& option = *app.get_option(setting.flag);
    if (option.count() == 0) continue;
    const absl::Status set = setting.value.set(option.results());
    if (!set.ok()) return At(setting.flag, set);
  }
  return absl::OkStatus();
}

// What no setting can check alone.
absl::Status CheckTogether(const DaemonConfig& config) {
  if (config.data_directory.empty()) {
    return absl::InvalidArgumentError(
        "name the data directory with --data DIR, or as storage.data_directory in the file of "
        "--config");
  }
  if (config.tls.certificate.empty() != config.tls.key.empty() ||
      (!config.tls.enabled() && !config.tls.client_ca.empty())) {
    return absl::InvalidArgumentError(
        "TLS needs a certificate and its key: give both --tls-certificate and --tls-key");
  }
  return config.tls.enabled() ? absl::OkStatus() : ParseLoopbackAddress(config.listen).status();
}

}  // namespace

std::string VersionText() { return BIF_VERSION; }

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CommandLine line;
  const std::vector<Setting> settings = SettingsOf(line.config);
  const auto mistake = [&line](const std::string& why) {
    line.exit_code = 2;
    line.message = "bifd: " + why + "\n";
    return line;
  };

  CLI::App app{
      "bifd: samples local posteriors and answers which training samples made a model behave as it "
      "does.",
      "bifd"};
  app.footer(OfflineHelp());
  app.set_version_flag("--version", "bifd " + VersionText());
  std::string path;
  app.add_option("--config", path,
                 "read the configuration from this file (protobuf text format); flags win over it");
  // The values are read after the file's, and by the same functions; CLI11 only collects the texts.
  const auto collect = [](const std::vector<std::string>&) { return true; };
  for (const Setting& setting : settings) {
    CLI::Option* const option = app.add_option(setting.flag, collect, setting.help);
    option->type_name("TEXT")->default_str(setting.value.show());
    if (setting.value.list) option->expected(1, -1)->allow_extra_args()->take_all();
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    std::ostringstream out;
    line.exit_code = app.exit(help, out, out);
    line.message = out.str();
    return line;
  } catch (const CLI::ParseError& error) {
    return mistake(absl::StrCat(error.what(), "; bifd --help lists the flags"));
  }

  if (app.count("--config") > 0) {
    const absl::Status read = ApplyFile(path, settings);
    if (!read.ok()) return mistake(std::string(read.message()));
  }
  const absl::Status flags = ApplyFlags(app, settings);
  if (!flags.ok()) return mistake(std::string(flags.message()));
  const absl::Status together = CheckTogether(line.config);
  if (!together.ok()) return mistake(std::string(together.message()));
  return line;
}

std::vector<std::pair<std::string, std::string>> ConfigFields(const DaemonConfig& config) {
  DaemonConfig copy = config;
  std::vector<std::pair<std::string, std::string>> fields;
  for (const Setting& setting : SettingsOf(copy)) {
    fields.emplace_back(setting.field, setting.value.show());
  }
  return fields;
}

std::vector<ConfigChange> ConfigChanges(const DaemonConfig& before, const DaemonConfig& after) {
  DaemonConfig old_config = before;
  DaemonConfig new_config = after;
  const std::vector<Setting> old_settings = SettingsOf(old_config);
  const std::vector<Setting> new_settings = SettingsOf(new_config);
  std::vector<ConfigChange> changes;
  for (size_t i = 0; i < old_settings.size(); ++i) {
    ConfigChange change{.field = old_settings[i].field,
                        .before = old_settings[i].value.show(),
                        .after = new_settings[i].value.show(),
                        .needs_restart = old_settings[i].takes == Takes::kRestart};
    if (change.before != change.after) changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace bif::server
