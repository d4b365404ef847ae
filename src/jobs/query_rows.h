// Queries as rows to be traced: looked up, or, where a trace is missing, evaluated and kept.
//
// Inline samples are named by their content: one hidden dataset a column schema holds those that
// were ever asked, so that a repeat is a look-up by digest. They are stored only once they have
// been evaluated, so a bad one leaves nothing behind.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "src/base/digest.h"
#include "src/base/tensor.h"
#include "src/jobs/datasets.h"
#include "src/jobs/draw_scan.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/queries.h"
#include "src/jobs/taken_together.h"
#include "src/jobs/trace_arrays.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct QueryRow {
  std::string sample_id;  // stored ones: the user's; inline ones: the digest in hex
  std::optional<uint32_t>
      ordinal;          // of the dataset; none yet for an inline sample that was never asked
  TracedRow traced;     // draws == 0: no trace
  uint32_t traces = 1;  // of token losses as many as tokens have one
};

struct QueryRows {
  bool is_inline = false;
  std::string tenant;         // who asks
  int priority = 0;           // among their other interactive work
  std::string field;          // "queries.inline" or "queries.sample_ids", for errors
  uint32_t array = kNoArray;  // kNoArray: nobody has asked for this observable yet
  uint32_t dataset = 0;       // number; 0: the hidden dataset does not exist yet
  std::string hidden_id;      // of the hidden dataset
  std::vector<TensorSpec> columns;
  SampleBatch inline_batch;
  std::vector<QueryRow> rows;

  // Rows whose traces do not reach `draws`.
  std::vector<size_t> Missing(uint32_t draws) const;
  // Room for all their traces.
  std::shared_ptr<EvaluatedRows> NewValues(size_t chains, uint32_t draws) const;
};

// Thread-safe.
class QueryRowsResolver {
 public:
  QueryRowsResolver(storage::Store& store, Datasets& datasets)
      : store_(store), datasets_(datasets) {}

  // Checks and looks up. `field`: of the request ("queries"). At most `max_rows`.
  absl::StatusOr<QueryRows> Resolve(const SampleSet& set, const PosteriorView& view,
                                    const PosteriorTraces& traces,
                                    const engine::Observable& observable, const std::string& field,
                                    int64_t max_rows);

  // The samples of all rows, in their order.
  absl::StatusOr<SampleBatch> SamplesOf(const QueryRows& rows);

  // What is to be evaluated so that all rows reach the view's draws.
  absl::StatusOr<EvaluationSpec> SpecFor(const QueryRows& rows, const PosteriorView& view,
                                         const engine::Observable& observable);

  // Reads what is stored into `values`: every row's draws [0, traced.draws).
  absl::Status ReadStored(const QueryRows& rows, const PosteriorView& view, EvaluatedRows& values);

  // Keeps what was evaluated, inline samples too; gives every row its ordinal. What callers bring
  // while others' is being committed goes into the next commit together.
  absl::Status Keep(QueryRows& rows, const PosteriorView& view, PosteriorTraces& traces,
                    const engine::Observable& observable, EvaluatedRows& values);

 private:
  absl::Status ResolveInline(const std::vector<Sample>& samples, const PosteriorView& view,
                             QueryRows& rows);
  absl::Status ResolveStored(const SampleSet& set, const PosteriorView& view,
                             const std::string& field, int64_t max_rows, QueryRows& rows);
  // How many losses each row's tokens have: as many as are stored, or as the sample says.
  absl::Status CountTokens(const PosteriorView& view, QueryRows& rows);

  // What one caller wants to be kept.
  struct Evaluated {
    QueryRows* rows = nullptr;
    EvaluatedRows* values = nullptr;
    absl::Status status;
  };
  static constexpr size_t kMostKeptBytes = size_t{64} << 20;  // at a time, as traces
  absl::Status KeepAll(const std::vector<Evaluated*>& all, const PosteriorView& view,
                       PosteriorTraces& traces, const engine::Observable& observable);
  absl::Status StoreInlineSamples(const std::vector<Evaluated*>& all);

  storage::Store& store_;
  Datasets& datasets_;
  absl::Mutex hidden_;  // makes looking up digests and appending what is missing one step
  TakenTogether<Evaluated> keeping_{kMostKeptBytes};
};

}  // namespace bif::jobs
