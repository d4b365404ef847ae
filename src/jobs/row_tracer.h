// Evaluates stored samples at every draw of a posterior and keeps their losses, a few thousand rows
// a commit; or the losses of their tokens, a few dozen rows a commit, and with them the sequences'
// own where they are missing. What is committed stays, whatever happens; begun anew, it goes on
// with the rows that lack traces.
//
// Confined to the device thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/jobs/counters.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/draw_scan.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/operations.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/sequences.h"
#include "src/storage/store.h"

namespace bif::jobs {

class RowTracer {
 public:
  // References; all outlive it.
  struct Parts {
    storage::Store& store;
    ModelCache& models;
    DrawReader& draws;
    Counters& counters;
  };

  // `ordinals`: of `dataset`, to be traced where they are not yet. `tokens`: the losses of tokens.
  RowTracer(const Parts& parts, PosteriorView view, std::shared_ptr<PosteriorTraces> traces,
            uint32_t dataset_number, std::vector<uint32_t> ordinals, bool tokens);

  // Does a piece of the work; what `operation` has to say goes into each commit. True: every row
  // has its traces.
  absl::StatusOr<bool> Step(const RunningOperation& operation);

  // The posterior has got draws: the rows get them too.
  void Grow(PosteriorView view);
  const PosteriorView& view() const { return view_; }

  double share_done() const;  // of all rows and draws, 0 to 1
  uint32_t total_draws() const {
    return static_cast<uint32_t>(view_.active_chains.size()) * view_.draws;
  }
  int64_t rows() const { return static_cast<int64_t>(ordinals_.size()); }
  int64_t rows_already_there() const { return already_there_; }
  int64_t rows_traced() const { return traced_; }

 private:
  uint32_t array() const;
  engine::Observable observable() const;
  absl::StatusOr<bool> NextChunk();
  absl::Status MeasureSequences(size_t trace_bytes, std::vector<uint32_t>& ordinals);
  absl::Status KeepSequenceLosses();

  const Parts parts_;
  PosteriorView view_;
  const std::shared_ptr<PosteriorTraces> traces_;
  const uint32_t dataset_;
  std::vector<uint32_t> ordinals_;  // ascending
  const bool tokens_;
  int64_t already_there_ = 0;
  int64_t traced_ = 0;
  size_t next_ = 0;  // position in ordinals_ behind the current chunk
  std::vector<NewTrace> chunk_;
  std::vector<SequenceShape> shapes_;  // of the current chunk, with tokens
  std::shared_ptr<EvaluatedRows> values_;
  std::optional<DrawScan> scan_;  // of the current chunk
};

}  // namespace bif::jobs
