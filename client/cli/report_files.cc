#include "client/cli/report_files.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/session.h"

namespace bif::client {
namespace {

// A discarded value if the file is missing or no JSON.
nlohmann::json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
}

std::string TextOf(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadClassNames(const std::string& file_or_list) {
  std::vector<std::string> names;
  if (file_or_list.empty()) return names;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file_or_list, error)) {
    names = absl::StrSplit(file_or_list, ',');
    return names;
  }
  std::ifstream file(file_or_list);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  return names;
}

absl::StatusOr<std::map<std::string, std::string>> ReadNotes(const std::string& path) {
  std::map<std::string, std::string> notes;
  if (path.empty()) return notes;
  const nlohmann::json json = ReadJson(path);
  if (!json.is_object())
    return UsageError(absl::StrCat(path, " must be a JSON object of id to text"));
  for (const auto& [id, text] : json.items()) notes[id] = TextOf(text);
  return notes;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadSummary(
    const std::string& path) {
  std::vector<std::pair<std::string, std::string>> summary;
  if (path.empty()) return summary;
  const nlohmann::json json = ReadJson(path);
  const auto wrong = [&] {
    return UsageError(
        absl::StrCat(path, " must be a JSON list of {\"label\": ..., \"value\": ...}"));
  };
  if (!json.is_array()) return wrong();
  for (const nlohmann::json& entry : json) {
    if (!entry.is_object() || !entry.contains("label") || !entry.contains("value")) return wrong();
    summary.emplace_back(TextOf(entry["label"]), TextOf(entry["value"]));
  }
  return summary;
}

}  // namespace bif::client
