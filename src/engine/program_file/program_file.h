// A .pt2 archive of torch.export, read but not resolved: its graph, what enters and leaves it, and
// the tensors it holds.
//
// The file is a stranger's. Nothing is unpickled or run; what is wrong is INVALID_ARGUMENT and
// names the entry, node or tensor. Immutable, so thread-safe. Byte views into the file live as long
// as the object or a copy of it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/engine/program_file/graph.h"
#include "src/engine/program_file/signature.h"
#include "src/engine/program_file/stored_tensor.h"
#include "src/engine/program_file/zip_archive.h"

namespace bif::engine {

// What a symbol such as "s77" may be; -1 for no upper limit.
struct SymbolRange {
  int64_t min = 0;
  int64_t max = -1;
};

struct ProgramFile {
  ZipArchive archive;
  Graph graph;
  Signature signature;
  StoredTensors weights;    // parameters and persistent buffers
  StoredTensors constants;  // other buffers and tensor constants
  std::map<std::string, SymbolRange, std::less<>> symbols;
};

absl::StatusOr<ProgramFile> OpenProgramFile(
    const std::string& path);  // maps the file; messages start with the path
absl::StatusOr<ProgramFile> ParseProgramFile(
    std::string_view bytes);  // `bytes` must outlive the result

}  // namespace bif::engine
