#include "src/base/safetensors_index.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/strict_json.h"

namespace bif {
namespace {

using nlohmann::json;

absl::Status Bad(absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("not a usable safetensors index: ", message));
}

// Long names of a stranger's file are cut in messages.
std::string Quoted(const std::string& name) { return absl::StrCat("'", name.substr(0, 200), "'"); }

bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

}  // namespace

bool IsSafetensorsIndex(std::string_view file_name) {
  return absl::EndsWith({file_name.data(), file_name.size()}, ".index.json");
}

absl::StatusOr<SafetensorsIndex> ParseSafetensorsIndex(std::string_view text) {
  const StrictJson parsed = ParseStrictJson(text);
  if (!parsed.value.is_object()) return Bad("it is not a JSON object");
  if (!parsed.repeated.empty())
    return Bad(absl::StrCat(Quoted(parsed.repeated), " stands in it twice"));
  const auto map = parsed.value.find("weight_map");
  if (map == parsed.value.end() || !map->is_object() || map->empty())
    return Bad("it has no \"weight_map\" of tensor names to file names");

  SafetensorsIndex index;
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string())
      return Bad(absl::StrCat("the file of tensor ", Quoted(tensor), " is no string"));
    const std::string& name = shard.get_ref<const std::string&>();
    if (!IsPlainFileName(name)) {
      return Bad(absl::StrCat("it places tensor ", Quoted(tensor), " in ", Quoted(name),
                              ", which is not a file beside the index"));
    }
    index.shard_of[tensor] = name;
    shards.insert(name);
  }
  index.shards.assign(shards.begin(), shards.end());
  return index;
}

absl::Status CheckShards(const SafetensorsIndex& index,
                         const std::map<std::string, SafetensorsFile>& files) {
  for (const std::string& shard : index.shards) {
    if (files.count(shard) == 0)
      return Bad(absl::StrCat("it names the shard ", Quoted(shard), ", which is missing"));
  }
  for (const auto& [tensor, shard] : index.shard_of) {
    if (files.at(shard).Find(tensor) == nullptr) {
      return Bad(absl::StrCat("it places tensor ", Quoted(tensor), " in ", Quoted(shard),
                              ", which does not hold it"));
    }
  }
  for (const auto& [shard, file] : files) {
    if (!std::binary_search(index.shards.begin(), index.shards.end(), shard))
      return Bad(absl::StrCat("it does not name the file ", Quoted(shard)));
    for (const SafetensorsTensor& tensor : file.tensors()) {
      const auto place = index.shard_of.find(tensor.name);
      if (place == index.shard_of.end()) {
        return Bad(absl::StrCat(Quoted(shard), " holds tensor ", Quoted(tensor.name),
                                ", which the index does not name"));
      }
      if (place->second != shard) {
        return Bad(absl::StrCat("tensor ", Quoted(tensor.name), " lies in two shards, ",
                                Quoted(place->second), " and ", Quoted(shard)));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace bif
