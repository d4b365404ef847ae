// Structured log lines on stderr: a time, a level, a sentence, and fields (`operation`, `tenant`,
// `method`, ...), as key=value text for people or as one JSON object a line for machines.
//
//   observe::ScopedLogFields fields{{"operation", id}, {"tenant", tenant}};  // on every line of
//   this thread's scope observe::LogInfo("segment committed", {{"draws", draws}, {"seconds",
//   seconds}});
//
// Thread-safe. Lines are written whole. Logging never fails and never throws: a line that cannot be
// written is lost.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/statusor.h"

namespace bif::observe {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };
enum class LogFormat { kText, kJson };

absl::StatusOr<LogLevel> ParseLogLevel(
    std::string_view name);  // "debug", "info", "warning", "error"
absl::StatusOr<LogFormat> ParseLogFormat(std::string_view name);  // "text", "json"

// One key with its value. Numbers and booleans stay what they are in JSON.
struct LogField {
  LogField(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}
  LogField(std::string_view field_key, const char* text) : key(field_key), value(text) {}
  LogField(std::string_view field_key, const std::string& text) : key(field_key), value(text) {}
  LogField(std::string_view field_key, bool truth)
      : key(field_key), value(truth ? "true" : "false"), quoted(false) {}
  LogField(std::string_view field_key, double number);
  template <typename Integer>
  requires std::is_integral_v<Integer> LogField(std::string_view field_key, Integer number)
      : key(field_key), value(std::to_string(number)), quoted(false) {}

  std::string key;
  std::string value;
  bool quoted = true;  // false: `value` is a JSON literal
};

// Lines below `level` are dropped. To be called once, at start; the default is info, as text.
void SetLogging(LogLevel level, LogFormat format);

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
inline void LogDebug(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarning(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarning, message, fields);
}
inline void LogError(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, message, fields);
}

// Adds fields to every line that this thread logs while the object lives. Objects nest; confined to
// their thread.
class ScopedLogFields {
 public:
  ScopedLogFields(std::initializer_list<LogField> fields);
  ~ScopedLogFields();
  ScopedLogFields(const ScopedLogFields&) = delete;
  ScopedLogFields& operator=(const ScopedLogFields&) = delete;

 private:
  size_t added_;
};

}  // namespace bif::observe
