#include "src/engine/program_file/program_file.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/graph_parser.h"

namespace bif::engine {
namespace {

constexpr int64_t kSchemaMajor = 8;
constexpr size_t kMaxJsonBytes = size_t{256} << 20;

bool EndsWith(const std::string& text, absl::string_view end) { return absl::EndsWith(text, end); }

// Why an archive without torch.export's layout is none, as well as the names in it can tell.
absl::Status NotAProgram(const ZipArchive& archive) {
  for (const auto& [name, bytes] : archive.entries()) {
    if (EndsWith(name, "serialized_exported_program.json")) {
      return absl::InvalidArgumentError(
          "the archive was written by an old torch.export; re-export with torch 2.8 or newer");
    }
  }
  for (const auto& [name, bytes] : archive.entries()) {
    if (EndsWith(name, "/data.pkl") || EndsWith(name, "/constants.pkl")) {
      return absl::InvalidArgumentError(
          "this is a pickle or TorchScript archive, which is never read; export the model with "
          "torch.export.save");
    }
  }
  return absl::InvalidArgumentError(
      "the zip holds no archive_format: it was not written by torch.export.save");
}

// All entries stand below one folder, whose name PyTorch takes from the file's. Returns it, with
// the '/'.
absl::StatusOr<std::string> FindRoot(const ZipArchive& archive) {
  constexpr absl::string_view kMarker = "archive_format";
  for (const auto& [name, bytes] : archive.entries()) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash + 1) == kMarker)
      return name.substr(0, slash + 1);
  }
  return NotAProgram(archive);
}

absl::StatusOr<std::string_view> Entry(const ZipArchive& archive, const std::string& name) {
  const auto found = archive.entries().find(name);
  if (found == archive.entries().end()) {
    return absl::InvalidArgumentError(absl::StrCat("the entry '", name, "' is missing"));
  }
  if (found->second.size() > kMaxJsonBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the entry '", name, "' has more than ", kMaxJsonBytes, " bytes"));
  }
  return found->second;
}

absl::Status ExpectEntry(const ZipArchive& archive, const std::string& name,
                         std::string_view wanted) {
  BIF_ASSIGN_OR_RETURN(const std::string_view found, Entry(archive, name));
  if (found.substr(0, found.find('\n')) == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' says '",
                                                 std::string(found.substr(0, 40)), "'; only '",
                                                 std::string(wanted), "' is understood"));
}

// The name of the one model: models/<name>.json.
absl::StatusOr<std::string> FindModel(const ZipArchive& archive, const std::string& root) {
  const std::string folder = root + "models/";
  std::string model;
  for (const auto& [name, bytes] : archive.entries()) {
    if (!absl::StartsWith(name, folder) || !EndsWith(name, ".json")) continue;
    if (!model.empty())
      return absl::InvalidArgumentError("the archive holds more than one model; save one a file");
    model = name.substr(folder.size(), name.size() - folder.size() - 5);
  }
  if (model.empty()) {
    return absl::InvalidArgumentError(
        "the archive holds no models/*.json; save it with torch.export.save, not as a compiled "
        "package");
  }
  return model;
}

absl::Status CheckSchema(const Json& document) {
  BIF_ASSIGN_OR_RETURN(const Json* version, ObjectField(document, "schema_version"));
  BIF_ASSIGN_OR_RETURN(const int64_t major, IntField(*version, "major"));
  BIF_ASSIGN_OR_RETURN(const int64_t minor, IntField(*version, "minor"));
  if (major == kSchemaMajor) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the schema version is ", major, ".", minor,
                                                 "; this server knows ", kSchemaMajor,
                                                 ".x, which torch 2.8 and newer write"));
}

absl::StatusOr<std::map<std::string, SymbolRange, std::less<>>> ParseRanges(const Json& document) {
  std::map<std::string, SymbolRange, std::less<>> ranges;
  BIF_ASSIGN_OR_RETURN(const Json* constraints, ObjectField(document, "range_constraints"));
  for (const auto& [symbol, constraint] : constraints->items()) {
    SymbolRange range;
    for (const auto& [key, number] :
         {std::pair("min_val", &range.min), std::pair("max_val", &range.max)}) {
      BIF_ASSIGN_OR_RETURN(const Json* value, Field(constraint, key));
      if (value->is_null()) continue;  // no limit
      BIF_ASSIGN_OR_RETURN(*number, AsInt(*value, key));
    }
    ranges.emplace(symbol, range);
  }
  return ranges;
}

absl::Status ParseModel(std::string_view text, const std::string& entry, ProgramFile& file) {
  BIF_ASSIGN_OR_RETURN(const Json document, ParseJson(text, entry));
  BIF_RETURN_IF_ERROR(CheckSchema(document));
  BIF_ASSIGN_OR_RETURN(const Json* module, ObjectField(document, "graph_module"));
  BIF_ASSIGN_OR_RETURN(const Json* signature, ObjectField(*module, "signature"));
  BIF_ASSIGN_OR_RETURN(file.signature, ParseSignature(*signature));
  BIF_ASSIGN_OR_RETURN(const Json* graph, ObjectField(*module, "graph"));
  BIF_ASSIGN_OR_RETURN(file.graph, ParseGraph(*graph));
  BIF_ASSIGN_OR_RETURN(file.symbols, ParseRanges(document));
  return absl::OkStatus();
}

absl::StatusOr<ProgramFile> ParseArchive(ZipArchive archive) {
  BIF_ASSIGN_OR_RETURN(const std::string root, FindRoot(archive));
  BIF_RETURN_IF_ERROR(ExpectEntry(archive, root + "archive_format", "pt2"));
  BIF_RETURN_IF_ERROR(ExpectEntry(archive, root + "archive_version", "0"));
  BIF_RETURN_IF_ERROR(ExpectEntry(archive, root + "byteorder", "little"));
  BIF_ASSIGN_OR_RETURN(const std::string model, FindModel(archive, root));

  ProgramFile file{.archive = std::move(archive)};
  const std::string model_entry = absl::StrCat(root, "models/", model, ".json");
  BIF_ASSIGN_OR_RETURN(const std::string_view model_text, Entry(file.archive, model_entry));
  BIF_RETURN_IF_ERROR(ParseModel(model_text, model_entry, file));
  const auto read = [&](const std::string& kind, StoredTensors& tensors) -> absl::Status {
    const std::string folder = absl::StrCat(root, "data/", kind, "/");
    BIF_ASSIGN_OR_RETURN(
        const std::string_view config,
        Entry(file.archive, absl::StrCat(folder, model, "_", kind, "_config.json")));
    BIF_ASSIGN_OR_RETURN(tensors, ParseStoredTensors(config, folder, file.archive));
    return absl::OkStatus();
  };
  BIF_RETURN_IF_ERROR(read("weights", file.weights));
  BIF_RETURN_IF_ERROR(read("constants", file.constants));
  return file;
}

}  // namespace

absl::StatusOr<ProgramFile> OpenProgramFile(const std::string& path) {
  BIF_ASSIGN_OR_RETURN(ZipArchive archive, [&]() -> absl::StatusOr<ZipArchive> {
    absl::StatusOr<ZipArchive> opened = ZipArchive::Open(path);
    if (absl::IsInvalidArgument(opened.status())) return Annotate(opened.status(), path);
    return opened;
  }());
  absl::StatusOr<ProgramFile> file = ParseArchive(std::move(archive));
  if (!file.ok()) return Annotate(file.status(), path);
  return file;
}

absl::StatusOr<ProgramFile> ParseProgramFile(std::string_view bytes) {
  BIF_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Parse(bytes));
  return ParseArchive(std::move(archive));
}

}  // namespace bif::engine
