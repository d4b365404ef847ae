// The traces of one posterior while the daemon runs: what is known of them, and who may add some.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "src/engine/engine.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/observable_registry.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/trace_index.h"
#include "src/storage/store.h"

namespace bif::jobs {

// A row whose trace was evaluated just now, and the sample that it belongs to.
struct NewTrace {
  uint32_t ordinal = 0;
  size_t row = 0;           // of the EvaluatedRows
  uint32_t first_draw = 0;  // evaluated from here on
};

// Traced rows, by the number of their dataset.
using RowsByDataset = std::map<uint32_t, std::vector<TracedRow>>;

class PosteriorTraces {
 public:
  explicit PosteriorTraces(uint64_t number)
      : number_(number), index_(number), observables_(number) {}

  uint64_t number() const { return number_; }
  const TraceIndex& index() const { return index_; }
  // The array of an observable's traces; kNoArray while there are none.
  uint32_t ArrayOf(const engine::Observable& observable) const {
    return observables_.Find(observable);
  }

  // From now on nothing is kept. Waits for who is keeping something right now.
  void MarkDeleted();

  // Reads the catalog again if the posterior has grown since.
  absl::Status Refresh(storage::Catalog& catalog, uint32_t draws);

  // Keeps traces: tiles first, then one commit (with `writes`) that makes them known. What somebody
  // else has kept in the meantime stays as it is; a sample named twice is kept once. The loss at w*
  // is kept too where the observable is the loss and `keep_anchor` is set. Losses of tokens are
  // rounded to the posterior's type of them. NOT_FOUND if the posterior was deleted meanwhile.
  absl::Status Keep(storage::Store& store, const PosteriorView& view,
                    const engine::Observable& observable, uint32_t dataset,
                    const std::vector<NewTrace>& traces, EvaluatedRows& rows, bool keep_anchor,
                    storage::WriteSet writes = {});

  // Commits `writes`, in which the posterior grows, together with what its new draws bring to rows
  // that were traced already, by dataset: their losses' tiles are written. NOT_FOUND as above.
  absl::Status CommitGrowth(storage::Catalog& catalog, const RowsByDataset& grown,
                            storage::WriteSet writes);

 private:
  struct Placed {
    TracedRow row;
    size_t source = 0;        // row of the EvaluatedRows
    uint32_t first_draw = 0;  // what lies before is stored
  };
  std::vector<Placed> Place(uint32_t array, uint32_t dataset, const std::vector<NewTrace>& traces,
                            const EvaluatedRows& rows) const;

  const uint64_t number_;
  absl::Mutex writer_;  // makes one writer at a time, from giving out slots to the commit
  bool deleted_ ABSL_GUARDED_BY(writer_) = false;
  TraceIndex index_;
  ObservableRegistry observables_;
};

// The posteriors that are in use. One object a posterior, however many ask. Thread-safe.
class OpenPosteriors {
 public:
  OpenPosteriors(storage::Catalog& catalog, size_t max_open)
      : catalog_(catalog), max_open_(max_open) {}

  // The posterior is gone: its traces are to be deleted next.
  void Forget(uint64_t number);

  // By the posterior's number, with an index that knows at least what the catalog said when the
  // posterior had `draws` draws.
  absl::StatusOr<std::shared_ptr<PosteriorTraces>> Get(uint64_t number, uint32_t draws);

 private:
  storage::Catalog& catalog_;
  const size_t max_open_;
  absl::Mutex mutex_;  // guards all below
  struct Entry {
    std::shared_ptr<PosteriorTraces> traces;
    uint64_t used = 0;
  };
  absl::flat_hash_map<uint64_t, Entry> open_ ABSL_GUARDED_BY(mutex_);  // by number
  uint64_t clock_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace bif::jobs
