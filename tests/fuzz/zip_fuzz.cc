// Zip archives of a stranger: every entry lies inside the file, and no two share a name or a byte.
#include <algorithm>
#include <vector>

#include "src/engine/program_file/zip_archive.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::Input(data, size).rest();
  const auto archive = engine::ZipArchive::Parse(bytes);
  if (!archive.ok()) {
    fuzz::RequireRefusal(archive.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  std::vector<std::string_view> entries;
  for (const auto& [name, content] : archive->entries()) {
    if (!content.empty()) entries.push_back(content);  // what is empty has no byte to share
  }
  std::sort(entries.begin(), entries.end(), [](auto a, auto b) { return a.data() < b.data(); });
  const char* end = bytes.data();
  for (const std::string_view entry : entries) {
    fuzz::Require(entry.data() >= end, "no two entries share a byte");
    end = entry.data() + entry.size();
  }
  fuzz::Require(end <= bytes.data() + bytes.size(), "entries lie inside the file");
  return 0;
}
