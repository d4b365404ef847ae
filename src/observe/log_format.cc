#include "src/observe/log_format.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace bif::observe {
namespace {

// A JSON string literal of any bytes.
std::string Quoted(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool IsPlainWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

void AppendText(absl::Span<const LogField> fields, std::string& line) {
  for (const LogField& field : fields) {
    const bool plain = !field.quoted || IsPlainWord(field.value);
    absl::StrAppend(&line, " ", field.key, "=", plain ? field.value : Quoted(field.value));
  }
}

void AppendJson(absl::Span<const LogField> fields, std::string& line) {
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",", Quoted(field.key), ":",
                    field.quoted ? Quoted(field.value) : field.value);
  }
}

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

std::string FormatLogLine(LogFormat format, absl::Time time, LogLevel level,
                          std::string_view message, absl::Span<const LogField> scope_fields,
                          absl::Span<const LogField> fields) {
  const std::string stamp = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
  const std::string_view level_name = LogLevelName(level);
  std::string line;
  if (format == LogFormat::kJson) {
    line = absl::StrCat("{\"time\":\"", stamp, "\",\"level\":\"", std::string(level_name),
                        "\",\"message\":", Quoted(message));
    AppendJson(scope_fields, line);
    AppendJson(fields, line);
    line += '}';
    return line;
  }
  line = absl::StrCat(stamp, " ", std::string(level_name), " ");
  for (char c : message) line += (c == '\n' || c == '\r') ? ' ' : c;
  AppendText(scope_fields, line);
  AppendText(fields, line);
  return line;
}

}  // namespace bif::observe
