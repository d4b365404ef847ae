// Traces: one observable's value for every (sample, chain, draw) of a posterior, as immutable tiles
// of 256 slots x 64 draws of one chain. The sampler writes columns (all samples at a few draws),
// readers want rows (one sample at all draws); a tile is a block of both.
//
// Slots are dense row numbers within one (posterior, array, dataset); TraceExtent records of the
// catalog map samples to slots, and only what they name is real: Write makes tiles durable no later
// than the catalog commit that follows it, and a crash before that commit leaves tiles that the
// next run overwrites with the same bytes.
//
// Thread-safe. Damaged tiles are DATA_LOSS and named; a missing one within the asked range too.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bif::storage {

inline constexpr uint32_t kTileSlots = 256;
inline constexpr uint32_t kTileDraws = 64;

// All tiles of one observable of one dataset's samples at one posterior.
struct TraceArray {
  uint64_t posterior = 0;  // number
  uint32_t array = 0;      // which observable; ArrayCode in src/jobs
  uint32_t dataset = 0;    // number
};

// How a value is kept. Reading gives floats either way. The numbers are those of
// bif.v1.TokenTraceType.
enum class TraceType : uint8_t {
  kFloat32 = 1,
  kFloat16 = 2,  // rounded as src/base/half.h says
};

class TraceStore {
 public:
  virtual ~TraceStore() = default;

  // Stores values[draw][slot] (draw-major, as the sampler makes them) for slots [first_slot,
  // first_slot + slots) and draws [first_draw, first_draw + draws) of one chain. Cuts it into tiles
  // at multiples of kTileSlots and kTileDraws. Equal ranges are overwritten. A tile of another cut
  // that overlaps this range can only be what a crash left of an uncommitted write: it is removed.
  virtual absl::Status Write(const TraceArray& array, uint32_t chain, uint32_t first_slot,
                             uint32_t slots, uint32_t first_draw, uint32_t draws,
                             absl::Span<const float> values, TraceType type) = 0;
  absl::Status Write(const TraceArray& array, uint32_t chain, uint32_t first_slot, uint32_t slots,
                     uint32_t first_draw, uint32_t draws, absl::Span<const float> values) {
    return Write(array, chain, first_slot, slots, first_draw, draws, values, TraceType::kFloat32);
  }

  // values[(slot - first_slot) * row_stride + column + draw] for slots [first_slot, first_slot +
  // slots) and draws [0, draws) of one chain: rows ready for a matrix product. Every cell must be
  // covered, else DATA_LOSS.
  virtual absl::Status Read(const TraceArray& array, uint32_t chain, uint32_t first_slot,
                            uint32_t slots, uint32_t draws, int64_t row_stride, int64_t column,
                            absl::Span<float> values) = 0;

  // Gives a posterior's traces' space back at once. Repeating it is harmless.
  virtual absl::Status DeletePosterior(uint64_t posterior) = 0;
};

}  // namespace bif::storage
