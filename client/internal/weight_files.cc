#include "client/internal/weight_files.h"

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace bif::client {
namespace {

namespace fs = std::filesystem;

constexpr char kIndexName[] = "model.safetensors.index.json";
constexpr char kSingleName[] = "model.safetensors";

// The names of an index's files; none if it is no index, which the server will say better.
std::set<std::string> ShardNames(const fs::path& index) {
  std::ifstream file(index);
  const nlohmann::json parsed =
      nlohmann::json::parse(file, /*cb=*/nullptr, /*allow_exceptions=*/false);
  std::set<std::string> names;
  if (!parsed.is_object() || !parsed.contains("weight_map")) return names;
  for (const nlohmann::json& name : parsed["weight_map"]) {
    if (name.is_string()) names.insert(name.get<std::string>());
  }
  return names;
}

}  // namespace

absl::StatusOr<std::vector<LocalFile>> LocalWeightFiles(const std::string& path) {
  fs::path start = path;
  std::error_code ignored;
  if (fs::is_directory(start, ignored)) {
    const bool sharded = fs::exists(start / kIndexName, ignored);
    start /= sharded ? kIndexName : kSingleName;
    if (!sharded && !fs::exists(start, ignored)) {
      return absl::NotFoundError(
          absl::StrCat(path, " holds neither ", kIndexName, " nor ", kSingleName));
    }
  }
  std::vector<LocalFile> files = {{"", start}};
  if (!absl::EndsWith(start.filename().string(), ".index.json")) return files;
  files.front().name = start.filename();
  for (const std::string& name : ShardNames(start)) {
    const fs::path shard = start.parent_path() / name;
    if (fs::path(name).has_parent_path()) {
      return absl::InvalidArgumentError(
          absl::StrCat(start.string(), " names ", name, ", which is not a file beside it"));
    }
    if (!fs::exists(shard, ignored)) {
      return absl::NotFoundError(
          absl::StrCat(start.string(), " names the shard ", name, ", which is not beside it"));
    }
    files.push_back({name, shard});
  }
  return files;
}

}  // namespace bif::client
