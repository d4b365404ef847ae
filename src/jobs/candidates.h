// Samples with traces that a query is scored against, and their rows, block by block.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/jobs/datasets.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/lru_cache.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/queries.h"
#include "src/jobs/trace_cache.h"
#include "src/storage/store.h"

namespace bif::jobs {

// By slot. A candidate's index is its position in `rows`.
struct Candidates {
  uint32_t dataset = 0;  // number
  uint32_t array = 0;
  std::vector<TracedRow> rows;
  bool by_training_job =
      false;            // all of them are training rows that the posterior's own job traced
  std::string version;  // changes with what the list depends on
};

// Which of the stored draws an answer uses: those of a window, less those at which a value is
// missing; in ascending order. Chains keep equally many draws: a draw that one chain lacks is left
// out of all.
class DrawSelection {
 public:
  // `missing_columns`: chain position * draws + draw.
  DrawSelection(size_t chains, uint32_t draws, DrawWindow window,
                const std::vector<uint32_t>& missing_columns);

  uint32_t kept() const { return static_cast<uint32_t>(kept_.size()); }  // draws a chain
  size_t stride() const { return chains_ * kept_.size(); }
  bool all() const { return kept_.size() == draws_; }
  const std::vector<uint32_t>& kept_draws() const { return kept_; }  // ascending
  // One row [chain][draw] of stored draws -> [chain][kept draw].
  void Gather(const float* row, float* gathered) const;

 private:
  size_t chains_;
  uint32_t draws_;
  std::vector<uint32_t> kept_;
};

// The candidates of one block of slots: [begin, end) of Candidates::rows.
struct CandidateBlock {
  uint32_t number = 0;
  size_t begin = 0;
  size_t end = 0;
};
std::vector<CandidateBlock> BlocksOf(const Candidates& candidates);

// Thread-safe.
class CandidateReader {
 public:
  CandidateReader(storage::Store& store, Datasets& datasets, TraceCache& cache)
      : store_(store), datasets_(datasets), cache_(cache), living_(int64_t{16} << 20) {}

  // Living samples of the set (empty: of the training dataset) whose traces cover the view's draws.
  // Explicit ids without a trace, or no candidates at all: FAILED_PRECONDITION. `field`: of the
  // request ("candidates").
  absl::StatusOr<Candidates> Resolve(const SampleSet& set, const PosteriorView& view,
                                     const PosteriorTraces& traces, uint32_t array,
                                     const std::string& field);

  // Rows of one block, [candidate][chain][kept draw]. Valid as long as `buffer`.
  struct Buffer {
    std::shared_ptr<const TraceBlock> block;
    std::vector<float> gathered;
  };
  absl::StatusOr<absl::Span<const float>> Rows(const Candidates& candidates,
                                               const CandidateBlock& block,
                                               const PosteriorView& view,
                                               const PosteriorTraces& traces,
                                               const DrawSelection& selection, Buffer& buffer);

  // Columns at which some candidate has no value. Rows of the posterior's own job have all of them.
  absl::StatusOr<std::vector<uint32_t>> MissingColumnsOf(const Candidates& candidates,
                                                         const PosteriorView& view,
                                                         const PosteriorTraces& traces);

  absl::StatusOr<std::string> IdOf(uint32_t dataset, uint32_t ordinal);
  absl::StatusOr<std::vector<std::string>> IdsOf(const Candidates& candidates,
                                                 const CandidateBlock& block);

 private:
  absl::StatusOr<std::shared_ptr<const TraceBlock>> Block(const Candidates& candidates,
                                                          const CandidateBlock& block,
                                                          const PosteriorView& view,
                                                          const PosteriorTraces& traces);
  // Whether each ordinal is alive.
  using Living = std::shared_ptr<const std::vector<bool>>;
  absl::StatusOr<Living> LivingOf(const storage::pb::DatasetRecord& record);

  storage::Store& store_;
  Datasets& datasets_;
  TraceCache& cache_;
  LruCache<std::string, Living> living_;  // by dataset number, rows and deleted rows
};

}  // namespace bif::jobs
