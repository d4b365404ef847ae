#include "src/jobs/weight_files.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/safetensors_index.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

namespace fs = std::filesystem;

constexpr char kIndexName[] = "model.safetensors.index.json";
constexpr char kSingleName[] = "model.safetensors";
constexpr int64_t kMaxIndexBytes = 100'000'000;  // as the header of a safetensors file

absl::StatusOr<SafetensorsIndex> ReadIndex(const std::string& path, std::string_view field) {
  BIF_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
  if (bytes > kMaxIndexBytes) {
    return FieldError(field, absl::StrCat("the index has ", bytes, " bytes; at most ",
                                          kMaxIndexBytes, " are read"));
  }
  BIF_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  absl::StatusOr<SafetensorsIndex> index = ParseSafetensorsIndex(text);
  if (!index.ok()) return FieldError(field, std::string(index.status().message()));
  if (index->shards.size() > kMaxFiles) {
    return FieldError(field, absl::StrCat("the index names ", index->shards.size(),
                                          " shards; at most ", kMaxFiles, " are taken"));
  }
  return index;
}

}  // namespace

absl::StatusOr<std::vector<FoundFile>> FindWeightFiles(const AllowedPaths& paths,
                                                       const std::string& path,
                                                       std::string_view field) {
  BIF_ASSIGN_OR_RETURN(std::string canonical, paths.Resolve(path, field));
  fs::path named = path;  // shards lie beside the index as it is named: it may be a link
  std::error_code ignored;
  if (fs::is_directory(canonical, ignored)) {
    const bool sharded = FileExists(named / kIndexName);
    if (!sharded && !FileExists(named / kSingleName)) {
      return FieldError(field, absl::StrCat(path, " holds neither ", kIndexName, " nor ",
                                            kSingleName, "; name the file"));
    }
    named /= sharded ? kIndexName : kSingleName;
    BIF_ASSIGN_OR_RETURN(canonical, paths.Resolve(named, field));
  }
  std::vector<FoundFile> files = {{named.filename().string(), canonical}};
  if (!IsSafetensorsIndex(files[0].name)) return files;
  BIF_ASSIGN_OR_RETURN(const SafetensorsIndex index, ReadIndex(canonical, field));
  for (const std::string& shard : index.shards) {
    const absl::StatusOr<std::string> found = paths.Resolve(named.parent_path() / shard, field);
    if (absl::IsNotFound(found.status())) {
      return FieldError(
          field, absl::StrCat("the index names the shard ", shard, ", which is not beside it"));
    }
    BIF_RETURN_IF_ERROR(found.status());
    files.push_back({shard, *found});
  }
  return files;
}

absl::Status CheckWeightFiles(std::vector<NamedUpload>& files, std::string_view field) {
  const auto is_index = [](const NamedUpload& file) { return IsSafetensorsIndex(file.name); };
  const auto found = std::find_if(files.begin(), files.end(), is_index);
  if (found == files.end()) {
    if (files.size() == 1) return absl::OkStatus();
    return FieldError(field, absl::StrCat(files.size(), " files came without an index (",
                                          kIndexName, ") that says what they hold"));
  }
  const NamedUpload index_file = std::move(*found);
  files.erase(found);
  if (const auto second = std::find_if(files.begin(), files.end(), is_index);
      second != files.end()) {
    return FieldError(field,
                      absl::StrCat("two indexes came, ", index_file.name, " and ", second->name));
  }
  BIF_ASSIGN_OR_RETURN(const SafetensorsIndex index,
                       ReadIndex(index_file.upload->temporary_path(), field));
  std::sort(files.begin(), files.end(),
            [](const NamedUpload& a, const NamedUpload& b) { return a.name < b.name; });
  std::map<std::string, SafetensorsFile> shards;
  for (const NamedUpload& file : files) {
    absl::StatusOr<SafetensorsFile> opened = SafetensorsFile::Open(file.upload->temporary_path());
    if (!opened.ok()) return WithFileNames(opened.status(), files);
    if (!shards.emplace(file.name, *std::move(opened)).second)
      return FieldError(field, absl::StrCat("the file ", file.name, " came twice"));
  }
  const absl::Status fits = CheckShards(index, shards);
  return fits.ok() ? fits : FieldError(field, std::string(fits.message()));
}

}  // namespace bif::jobs
