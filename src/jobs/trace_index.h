// Which samples have traces at one posterior, and at which slots: the TraceExtent and TokenExtent
// records of the catalog, in memory.
//
// Thread-safe. Changes go in two steps, so that memory never says what the disk does not: Prepare
// adds records to a WriteSet, and once that is committed, Apply makes them known. One writer at a
// time (the caller's duty).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

struct TracedRow {
  uint32_t slot = 0;     // the first one
  uint32_t ordinal = 0;  // of the dataset
  uint32_t draws = 0;  // covered, of every active chain; 0: no trace (then there is no slot either)
  uint32_t slots = 1;  // consecutive ones; of token losses as many as tokens have one
};

// Consecutive slots.
struct SlotRun {
  uint32_t first_slot = 0;
  uint32_t slots = 0;
};

class TraceIndex {
 public:
  explicit TraceIndex(uint64_t posterior_number) : posterior_number_(posterior_number) {}

  // Reads all extents of the posterior anew. `draws`: committed by now.
  absl::Status Reload(storage::Catalog& catalog, uint32_t draws);
  // Of the last Reload; 0 before. A posterior that has grown since has extents that this index does
  // not know.
  uint32_t loaded_draws() const;

  // One entry an ordinal.
  std::vector<TracedRow> Find(uint32_t array, uint32_t dataset,
                              absl::Span<const uint32_t> ordinals) const;
  // All rows with at least `draws` draws, by slot.
  std::vector<TracedRow> RowsCovering(uint32_t array, uint32_t dataset, uint32_t draws) const;
  // The parts of slots [first_slot, first_slot + slots) that have at least `draws` draws. Rows of
  // one slot only.
  std::vector<SlotRun> RunsCovering(uint32_t array, uint32_t dataset, uint32_t first_slot,
                                    uint32_t slots, uint32_t draws) const;
  // The first slot that was never used.
  uint32_t next_slot(uint32_t array, uint32_t dataset) const;
  // Rises with every change to these rows, also over reloads.
  uint64_t version(uint32_t array, uint32_t dataset) const;

  // Adds to `writes` that these rows have traces now: rows known already with more draws than
  // before, or new ones at consecutive slots from next_slot on.
  void Prepare(uint32_t array, uint32_t dataset, absl::Span<const TracedRow> rows,
               storage::WriteSet& writes) const;
  void Apply(uint32_t array, uint32_t dataset, absl::Span<const TracedRow> rows);

 private:
  // A record of the catalog: so many rows, from a position in Rows::rows on.
  struct Extent {
    size_t first = 0;
    size_t rows = 0;
  };
  struct Rows {
    std::vector<TracedRow> rows;                        // by slot
    absl::flat_hash_map<uint32_t, size_t> position_of;  // in `rows`, by ordinal
    std::vector<Extent> extents;                        // as stored, ascending
    uint64_t version = 0;

    uint32_t end_slot() const { return rows.empty() ? 0 : rows.back().slot + rows.back().slots; }
    void Set(const TracedRow& row);
    // Sets all, and cuts the extents that they lie in anew, so that an extent's rows have equally
    // many draws.
    struct Cut {
      std::vector<Extent> removed;
      std::vector<Extent> added;
    };
    Cut Update(absl::Span<const TracedRow> changed);
  };
  using RowsKey = std::pair<uint32_t, uint32_t>;  // array, dataset

  const Rows* FindRows(uint32_t array, uint32_t dataset) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Where an extent of these rows is stored, and what.
  storage::RecordKey KeyOf(uint32_t array, uint32_t dataset, const TracedRow& first) const;
  static void Put(const storage::RecordKey& key, uint32_t array, absl::Span<const TracedRow> rows,
                  storage::WriteSet& writes);

  const uint64_t posterior_number_;
  mutable absl::Mutex mutex_;  // guards all below
  absl::flat_hash_map<RowsKey, Rows> rows_ ABSL_GUARDED_BY(mutex_);
  uint32_t loaded_draws_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace bif::jobs
