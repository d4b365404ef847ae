// Files of encoded draws and of chain states, below draws/<posterior number>/.
//
// A file is written to a temporary name, synced, renamed without replacing, and its directory
// synced, before its FileRecord is returned; it exists for readers once the catalog names it.
// Start-up sweeps what no record names. Contents are checksummed; a mismatch is DATA_LOSS and names
// the file.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/storage/catalog.h"

namespace bif::storage {

// One draw as its codec made it (src/engine/draw_codec.h). The store does not look inside.
struct EncodedDraw {
  uint8_t codec = 0;
  uint64_t elements = 0;
  std::string payload;
};

class DrawStore {
 public:
  virtual ~DrawStore() = default;

  // Writes consecutive draws of one chain as one file; gives a record for each draw, to be
  // committed under DrawKey.
  virtual absl::StatusOr<std::vector<pb::DrawRecord>> WriteDraws(
      uint64_t posterior, uint32_t chain, uint32_t first_draw,
      absl::Span<const EncodedDraw> draws) = 0;
  virtual absl::StatusOr<EncodedDraw> ReadDraw(uint64_t posterior,
                                               const pb::DrawRecord& record) = 0;

  // A chain state: exact weights and second moments after `step` steps.
  struct State {
    uint64_t step = 0;
    std::vector<float> weights;
    std::vector<float> second_moments;
  };
  virtual absl::StatusOr<pb::FileRecord> WriteState(uint64_t posterior, uint32_t chain,
                                                    const State& state) = 0;
  virtual absl::StatusOr<State> ReadState(uint64_t posterior, const pb::FileRecord& record) = 0;

  // Reads a whole file of draws or a state again. DATA_LOSS names it if it is missing, or its bytes
  // are not those that were written.
  virtual absl::Status VerifyFile(uint64_t posterior, const pb::FileRecord& record) = 0;

  virtual absl::StatusOr<int64_t> DiskBytes(uint64_t posterior) = 0;
  virtual absl::Status DeleteFile(uint64_t posterior, const std::string& name) = 0;
  virtual absl::Status DeletePosterior(uint64_t posterior) = 0;  // repeating it is harmless
};

}  // namespace bif::storage
