// Rows that somebody has traced after sampling, carried along while their posterior grows: before a
// segment is committed they are evaluated at its draws, and the commit that makes these draws
// visible says that the rows' traces reach them. So a sample that could be scored stays one, and a
// crash leaves neither side ahead.
//
// Carried are the losses of living samples of every dataset that users see, where they are traced
// at all draws committed so far. Not carried: inline queries and other observables (evaluated at
// the new draws when they are asked for again), and rows that lag behind already.
//
// Confined to the device thread. After an error it is to be thrown away; tiles that were written
// are overwritten by the next run.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/jobs/pace.h"
#include "src/jobs/posterior_context.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/segment.h"

namespace bif::jobs {

// The rows that a growing posterior has to carry, by slot.
absl::StatusOr<RowsByDataset> FindRowsToCarry(const PosteriorContext& context,
                                              const storage::pb::PosteriorRecord& record,
                                              const PosteriorTraces& traces);

class CarriedRows {
 public:
  // For the draws of `segment`, of the chains of `record` that have not diverged. All references
  // must outlive it.
  CarriedRows(const PosteriorContext& context, const PosteriorTraces& traces,
              const storage::pb::PosteriorRecord& record, const Segment& segment,
              engine::Model& model, const engine::MovingSet& moving,
              const engine::ExecutionPlan& plan);

  // Does a piece of the work. True: everything is evaluated and written, rows that were traced
  // meanwhile included, and grown() is what the commit has to say.
  absl::StatusOr<bool> Step();

  // Each row with the draws that it will have.
  const RowsByDataset& grown() const { return grown_; }
  int64_t rows() const { return rows_; }  // evaluated so far

 private:
  // The next rows of one dataset, on the device.
  struct Chunk {
    uint32_t dataset = 0;
    std::vector<TracedRow> rows;  // by slot
    std::vector<size_t> place;    // of each in `resident`
    std::unique_ptr<engine::ResidentRows> resident;
    uint32_t draw = 0;                       // being evaluated
    std::vector<std::vector<float>> deltas;  // of this draw, one a chain
    int64_t done = 0;                        // rows, at this draw
    std::vector<float> values;               // [chain][draw][slot]
  };
  // False: no row is left.
  absl::StatusOr<bool> OpenChunk();
  absl::Status Upload(Chunk& chunk);
  absl::Status Decode(Chunk& chunk);
  absl::Status Evaluate(Chunk& chunk);
  absl::Status Write(const Chunk& chunk);

  const PosteriorContext& context_;
  const PosteriorTraces& traces_;
  const storage::pb::PosteriorRecord& record_;
  const Segment& segment_;
  engine::Model& model_;
  const engine::MovingSet& moving_;
  const engine::ExecutionPlan plan_;
  const std::vector<uint32_t> chains_;  // that have not diverged
  Pace rows_at_once_{1024, 65536};
  std::unique_ptr<Chunk> chunk_;
  std::vector<float> observed_;
  RowsByDataset left_;
  RowsByDataset grown_;
  int64_t rows_ = 0;
};

}  // namespace bif::jobs
