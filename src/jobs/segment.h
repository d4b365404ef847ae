// A segment: the draws of all chains since the last commit, with their traces, held in memory until
// one catalog commit makes them visible. A crash costs at most one segment. Thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/jobs/posterior_context.h"
#include "src/jobs/posterior_traces.h"
#include "src/storage/store.h"

namespace bif::jobs {

class Segment {
 public:
  // Room for `max_draws` draws of `rows` training rows. Memory is taken once and used again after
  // Clear.
  Segment(uint32_t chains, int64_t rows, uint32_t max_draws);

  // What one chain has had since the last commit. A chain that diverges stops growing.
  struct Chain {
    std::vector<storage::EncodedDraw> draws;
    std::vector<float> sampling_loss;
    std::vector<float> distance;
    std::vector<float> mean_trace_loss;
  };
  Chain& chain(uint32_t index) { return chains_[index]; }
  const Chain& chain(uint32_t index) const { return chains_[index]; }
  // The losses of all rows at the chain's draw number `draw` of this segment.
  absl::Span<float> Traces(uint32_t chain, uint32_t draw);
  absl::Span<const float> Traces(uint32_t chain, uint32_t first_draw, uint32_t draws) const;

  uint32_t draws() const { return draws_; }  // of the chains that go on
  uint32_t max_draws() const { return max_draws_; }
  void FinishDraw() { ++draws_; }
  void Clear();

  // An upper bound of what Commit writes, beside the states.
  int64_t bytes() const;

 private:
  const int64_t rows_;
  const uint32_t max_draws_;
  uint32_t draws_ = 0;
  std::vector<Chain> chains_;
  std::vector<float> traces_;  // [chain][draw][row]
};

// Writes the segment's draws and traces, and the states of the chains that go on, and commits them
// together with `record`, the operation, and the rows that were carried along. `record` gets the
// segment's numbers; on failure it is to be thrown away. Clears nothing.
absl::Status CommitSegment(const PosteriorContext& context, const RunningOperation& operation,
                           Segment& segment, engine::ChainGroup& chains, PosteriorTraces& traces,
                           const RowsByDataset& carried, storage::pb::PosteriorRecord& record);

// The training rows' extent in the catalog, and that of their losses at w*.
void PutTrainingExtents(const storage::pb::PosteriorRecord& record, uint32_t dataset_number,
                        storage::WriteSet& writes);

}  // namespace bif::jobs
