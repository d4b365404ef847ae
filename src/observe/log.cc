#include "src/observe/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "src/observe/log_format.h"

namespace bif::observe {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kText};

// Never destroyed: threads may log while the process ends.
spdlog::logger& Sink() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("bif", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->set_error_handler([](const std::string&) {});  // a closed stderr must not end the daemon
    return made;
  }();
  return *logger;
}

std::vector<LogField>& ThreadFields() {
  thread_local std::vector<LogField> fields;
  return fields;
}

}  // namespace

LogField::LogField(std::string_view field_key, double number)
    : key(field_key), value(absl::StrCat(number)), quoted(!std::isfinite(number)) {}

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view name) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (LogLevelName(level) == name) return level;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "log level must be debug, info, warning or error, is '", std::string(name), "'"));
}

absl::StatusOr<LogFormat> ParseLogFormat(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("log format must be text or json, is '", std::string(name), "'"));
}

void SetLogging(LogLevel level, LogFormat format) {
  g_level = level;
  g_format = format;
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (level < g_level) return;
  const std::string line = FormatLogLine(g_format, absl::Now(), level, message, ThreadFields(),
                                         {fields.begin(), fields.size()});
  Sink().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

ScopedLogFields::ScopedLogFields(std::initializer_list<LogField> fields) : added_(fields.size()) {
  ThreadFields().insert(ThreadFields().end(), fields.begin(), fields.end());
}

ScopedLogFields::~ScopedLogFields() {
  std::vector<LogField>& fields = ThreadFields();
  fields.erase(fields.end() - static_cast<ptrdiff_t>(added_), fields.end());
}

}  // namespace bif::observe
