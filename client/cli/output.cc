#include "client/cli/output.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/util/json_util.h"

namespace bif::client {
namespace {

size_t Width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string Json(const google::protobuf::Message& message, bool lines) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = lines;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  // Only an Any of an unknown type has no JSON form; a program must still get valid JSON.
  if (!status.ok()) return absl::StrCat("{\"unprintable\": \"", message.GetTypeName(), "\"}");
  return text;
}

}  // namespace

Table::Table(const std::vector<std::string>& headings) {
  for (const std::string& heading : headings) {
    const bool right = !heading.empty() && heading[0] == '>';
    headings_.push_back(right ? heading.substr(1) : heading);
    right_.push_back(right);
  }
}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(headings_.size());
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < headings_.size(); ++c) {
    size_t width = Width(headings_[c]);
    for (const auto& row : rows_) width = std::max(width, Width(row[c]));
    widths.push_back(width);
  }
  const auto print = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string padding(widths[c] - Width(cells[c]), ' ');
      absl::StrAppend(&line, c > 0 ? "  " : "", right_[c] ? padding : "", cells[c],
                      right_[c] ? "" : padding);
    }
    out << absl::StripTrailingAsciiWhitespace(line) << "\n";
  };
  print(headings_);
  for (const auto& row : rows_) print(row);
}

Fields& Fields::Add(const std::string& name, const std::string& value) {
  if (!value.empty()) lines_.emplace_back(name, value);
  return *this;
}

void Fields::Print(std::ostream& out) const {
  size_t width = 0;
  for (const auto& [name, value] : lines_) width = std::max(width, Width(name));
  for (const auto& [name, value] : lines_) {
    out << name << std::string(width - Width(name) + 2, ' ') << value << "\n";
  }
}

void PrintJson(std::ostream& out, const google::protobuf::Message& message) {
  std::string text = Json(message, true);
  if (text.empty() || text.back() != '\n') text += '\n';
  out << text;
}

void PrintJsonLine(std::ostream& out, const google::protobuf::Message& message) {
  out << Json(message, false) << "\n";
}

std::string Count(int64_t value) {
  std::string digits = absl::StrCat(value < 0 ? -value : value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(at, ",");
  return value < 0 ? "-" + digits : digits;
}

std::string Bytes(int64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (std::abs(value) >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat(unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

std::string ScoreText(double value, double standard_error) {
  return absl::StrFormat("%.3g ± %.2g", value, standard_error);
}

std::string DurationText(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  if (seconds < 1) return absl::StrFormat("%.3g ms", seconds * 1000);
  if (seconds < 60) return absl::StrFormat("%.1f s", seconds);
  const int64_t whole = std::llround(seconds);
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  return absl::StrFormat("%d h %02d min", whole / 3600, whole / 60 % 60);
}

std::string DurationText(const google::protobuf::Duration& duration) {
  return DurationText(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string ShapeText(const google::protobuf::RepeatedField<int64_t>& shape) {
  return absl::StrCat("[",
                      absl::StrJoin(shape, ", ",
                                    [](std::string* text, int64_t size) {
                                      absl::StrAppend(text, size < 0 ? "?" : absl::StrCat(size));
                                    }),
                      "]");
}

std::string Kebab(const std::string& enum_name) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(enum_name, {{"_", "-"}}));
}

}  // namespace bif::client
