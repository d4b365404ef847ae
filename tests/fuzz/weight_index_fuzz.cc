// The index of weights in several files: it names plain files beside itself and nothing else.
#include <algorithm>

#include "src/base/safetensors_index.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto index = ParseSafetensorsIndex(fuzz::Input(data, size).rest());
  if (!index.ok()) {
    fuzz::RequireRefusal(index.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  fuzz::Require(!index->shard_of.empty(), "an index names a tensor");
  fuzz::Require(
      std::is_sorted(index->shards.begin(), index->shards.end()) &&
          std::adjacent_find(index->shards.begin(), index->shards.end()) == index->shards.end(),
      "shards are sorted, each once");
  for (const std::string& shard : index->shards) {
    fuzz::Require(!shard.empty() && shard != "." && shard != ".." &&
                      shard.find('/') == shard.npos && shard.find('\0') == shard.npos,
                  "a shard is a plain file name");
  }
  for (const auto& [tensor, shard] : index->shard_of) {
    fuzz::Require(std::binary_search(index->shards.begin(), index->shards.end(), shard),
                  "each tensor's shard is listed");
  }
  return 0;
}
