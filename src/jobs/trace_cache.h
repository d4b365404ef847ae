// Rows of traces in memory, in blocks of kTileSlots slots, shared by all queries.
//
// A block that is not here is read from the store by whoever asks; two who ask at once may both
// read it. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/lru_cache.h"
#include "src/jobs/trace_index.h"
#include "src/storage/trace_store.h"

namespace bif::jobs {

// values[(slot - first_slot) * chains * draws + chain position * draws + draw]; rows without a
// trace are zero.
struct TraceBlock {
  uint32_t first_slot = 0;
  std::vector<float> values;
  // Columns (chain position * draws + draw) at which some row has no value: NaN, as its draw could
  // not be read when the row was evaluated.
  std::vector<uint32_t> missing_columns;
};

class TraceCache {
 public:
  TraceCache(storage::TraceStore& traces, int64_t max_bytes)
      : traces_(traces), blocks_(max_bytes) {}

  // Block `number` (slots [number * kTileSlots, ...)) at draws [0, draws) of `chains`. `runs`: the
  // rows in it that have traces at all these draws.
  absl::StatusOr<std::shared_ptr<const TraceBlock>> Get(const storage::TraceArray& array,
                                                        const std::vector<uint32_t>& chains,
                                                        uint32_t draws, uint32_t number,
                                                        const std::vector<SlotRun>& runs);

  void ForgetPosterior(uint64_t posterior) {
    blocks_.EraseIf([posterior](const Key& key) { return key.posterior == posterior; });
  }
  int64_t cached_bytes() const { return blocks_.bytes(); }

 private:
  // Everything that the content of a block depends on.
  struct Key {
    uint64_t posterior;
    uint32_t array;
    uint32_t dataset;
    uint32_t draws;
    uint32_t number;
    uint32_t rows;  // with traces: more rows, another block
    std::vector<uint32_t> chains;

    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.posterior, k.array, k.dataset, k.draws, k.number, k.rows,
                        k.chains);
    }
  };

  storage::TraceStore& traces_;
  LruCache<Key, std::shared_ptr<const TraceBlock>> blocks_;
};

// The columns (chain position * draws + draw) that hold a NaN in rows of chains * draws numbers,
// ascending. Looks at the draws of the window alone: the others may still be written.
std::vector<uint32_t> MissingColumns(absl::Span<const float> values, size_t chains, size_t draws,
                                     DrawWindow window);

// Reads the rows of `runs` straight from the store: values[run after run][chain position][draw].
absl::Status ReadRows(storage::TraceStore& traces, const storage::TraceArray& array,
                      const std::vector<uint32_t>& chains, uint32_t draws,
                      absl::Span<const SlotRun> runs, absl::Span<float> values);

}  // namespace bif::jobs
