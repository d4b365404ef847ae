// How a log line looks. Pure functions, apart from log.h so that tests need no stderr.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "src/observe/log.h"

namespace bif::observe {

std::string_view LogLevelName(LogLevel level);

// One line without its newline. Text: `2026-01-31T12:00:00.123Z info segment committed
// operation=ab12 draws=8`; values with spaces, quotes or control characters are quoted as in JSON.
// JSON: {"time":...,"level":...,"message":...,...}. Bytes that are not UTF-8 become U+FFFD.
std::string FormatLogLine(LogFormat format, absl::Time time, LogLevel level,
                          std::string_view message, absl::Span<const LogField> scope_fields,
                          absl::Span<const LogField> fields);

}  // namespace bif::observe
