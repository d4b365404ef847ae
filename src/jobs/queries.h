// Questions to a posterior: which training samples influenced these queries, all scores as a
// matrix, which tokens of one sequence influenced which of another, self-influence, the influence
// of a group, the traces themselves. Rows without traces are evaluated at the stored
// draws, and their traces are kept, so asking again is a look-up.
//
// Calls block the calling thread until they are answered (device work runs on the executor,
// interactive and in slices of a few draws), so call them from a thread that may wait. Sinks are
// called on the calling thread; an error from a sink ends the call with that error. The cancel
// token is looked at between slices and between blocks; a cancelled call ends with CANCELLED and
// leaves nothing behind.
//
// Inline samples are kept by content in one hidden dataset for each column schema.
//
// Errors: a posterior that is not sampled yet FAILED_PRECONDITION; an unknown name or id NOT_FOUND;
// a bad field INVALID_ARGUMENT with its path ("top_k", "queries.inline[3].tensors[0]"); a full disk
// RESOURCE_EXHAUSTED; shutting down UNAVAILABLE.
//
// Thread-safe. To be destroyed after DeviceExecutor::Drain and before what it is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "src/attribution/estimator.h"
#include "src/attribution/group.h"
#include "src/base/cancel.h"
#include "src/base/clock.h"
#include "src/engine/engine.h"
#include "src/jobs/counters.h"
#include "src/jobs/datasets.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/operations.h"
#include "src/jobs/pathwise.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/request_ids.h"
#include "src/jobs/resumable_stream.h"
#include "src/jobs/samples.h"
#include "src/jobs/worker_pool.h"
#include "src/storage/store.h"

namespace bif::jobs {

// Either inline samples, or samples of a dataset by id (no ids: all living ones).
struct SampleSet {
  std::vector<Sample> inline_samples;
  std::string dataset;  // a name
  std::vector<std::string> sample_ids;
  std::string tenant = kDefaultTenant;  // who asks: inline samples are kept among their own
  bool empty() const { return inline_samples.empty() && dataset.empty() && sample_ids.empty(); }
};

inline constexpr int64_t kMaxQueries = 256;
inline constexpr uint32_t kDefaultTopK = 10;

struct AttributeRequest {
  std::string posterior;  // a name
  SampleSet queries;      // 1 to kMaxQueries
  SampleSet candidates;   // empty: the training dataset. Only samples with traces
  attribution::Estimator estimator = attribution::Estimator::kBif;
  attribution::Centring centring = attribution::Centring::kPooled;
  engine::Observable observable;
  uint32_t top_k = 0;                // 0: kDefaultTopK, or all candidates if they are fewer
  int priority = 0;                  // among the tenant's own interactive work; higher goes first
  PathwiseOptions pathwise;          // with kPathwise and kMixed
  std::optional<RefineSpec> refine;  // with kBif
};

// What an answer rests on.
struct Provenance {
  std::string posterior;  // a name
  attribution::Estimator estimator = attribution::Estimator::kBif;
  attribution::Centring centring = attribution::Centring::kPooled;
  engine::Observable observable;
  uint32_t chains = 0;
  uint32_t draws_per_chain = 0;
  std::vector<uint32_t> chains_left_out;  // diverged ones
  uint32_t jackknife_blocks = 0;
  std::string numerics;
  uint32_t draws_left_out = 0;                 // stored draws that could not be read
  std::optional<PathwiseProvenance> pathwise;  // of an answer with slopes
};

struct ScoredSample {
  std::string sample_id;
  float score = 0;
  float standard_error = 0;
  bool distinguishable = false;
  bool constant = false;
  bool helps = false;
  bool refined = false;  // of an answer with `refine`: slopes are in the score
};

struct QueryRanking {
  uint32_t query = 0;     // position in the request
  std::string sample_id;  // of a stored query
  std::vector<ScoredSample> helpful;
  std::vector<ScoredSample> harmful;
  double helpful_stability = 0;
  double harmful_stability = 0;
  std::optional<RefinedCandidates> refined;  // with `refine`
};

struct AttributeUpdate {
  uint32_t draws_done = 0;  // of all chains together
  uint32_t draws_total = 0;
  uint32_t slope_draws_done = 0;
  uint32_t slope_draws_total = 0;      // 0 with `refine`
  double budget_used = 0;              // with `refine`: the share
  std::vector<QueryRanking> rankings;  // from the draws so far
  bool final = false;
  Provenance provenance;
  uint64_t rows_evaluated = 0;  // query rows whose traces had to be computed
  // Of the final answer: waiting for the device, evaluating or reading the query, scoring.
  absl::Duration queue_time;
  absl::Duration evaluation_time;
  absl::Duration scoring_time;
};

struct ScoreMatrixRequest {
  std::string posterior;
  SampleSet queries;
  SampleSet candidates;
  attribution::Estimator estimator = attribution::Estimator::kBif;
  attribution::Centring centring = attribution::Centring::kPooled;
  engine::Observable observable;
  bool standard_errors = false;
  int priority = 0;
  PathwiseOptions pathwise;  // with kPathwise and kMixed
  Resumption resumption;
};
// Rows are candidates, columns queries, row major; at most kTileSlots candidates and 1 MiB of
// numbers.
struct ScoreBlock {
  uint64_t first_candidate = 0;
  std::vector<std::string> candidate_ids;
  uint32_t queries = 0;
  std::vector<float> scores;
  std::vector<float> standard_errors;      // empty if not asked for
  const Provenance* provenance = nullptr;  // valid during the call of the sink
  std::string resume_token;
};

struct SelfInfluenceRequest {
  std::string posterior;
  SampleSet candidates;  // empty: the training dataset
  attribution::Centring centring = attribution::Centring::kPooled;
  Resumption resumption;
};
struct SelfInfluenceBlock {
  std::vector<std::string> sample_ids;
  std::vector<float> variances;
  std::vector<float> standard_errors;
  std::vector<float> mean_losses;
  std::vector<float> anchor_losses;
  const Provenance* provenance = nullptr;  // valid during the call of the sink
  std::string resume_token;
};

struct TokenInfluenceRequest {
  std::string posterior;
  SampleSet training;  // one sample
  SampleSet query;     // one sample
  attribution::Estimator estimator = attribution::Estimator::kBif;
  attribution::Centring centring = attribution::Centring::kPooled;
  bool standard_errors = false;
  // The query's tokens [span_begin, span_end). 0: from the first that has a loss, to the last.
  uint32_t span_begin = 0;
  uint32_t span_end = 0;
  int priority = 0;
};
struct TokenInfluenceSummary {
  Provenance provenance;
  uint32_t rows = 0;  // tokens of the training sequence that have a loss: from position 1 on
  uint32_t first_column = 0;         // the query's position that column 0 stands for
  ScoredSample sequence_score;       // of the two sums of losses
  uint32_t sequences_evaluated = 0;  // whose token traces were not there
};
// Some rows of the matrix, row major; at most 1 MiB of numbers, and never less than a row.
struct TokenInfluenceBlock {
  uint32_t first_row = 0;
  uint32_t columns = 0;
  std::vector<float> scores;
  std::vector<float> standard_errors;    // empty if not asked for
  std::vector<float> completion_scores;  // a row: with the sum of all columns
  std::vector<float> completion_standard_errors;
  const TokenInfluenceSummary* summary = nullptr;  // valid during the call of the sink
};

inline constexpr int64_t kMaxGroupMembers = 100'000;

struct GroupInfluenceRequest {
  std::string posterior;
  SampleSet group;    // stored samples by id, 1 to kMaxGroupMembers; one named twice counts once
  SampleSet queries;  // 1 to kMaxQueries
  attribution::Centring centring = attribution::Centring::kPooled;
  engine::Observable observable;
  int priority = 0;
};
struct GroupScore {
  uint32_t query = 0;       // position in the request
  std::string sample_id;    // of a stored query
  ScoredSample score;       // BIF of the group: the sum of its members' scores
  ScoredSample normalized;  // NORMALIZED_BIF of the sum of its members' losses
  // What taking the group out does (src/attribution/group.h). Absent where a member is no training
  // row of the posterior.
  std::optional<attribution::RemovalPrediction> removal;
};
struct GroupInfluenceAnswer {
  std::vector<GroupScore> scores;  // one a query
  uint64_t members = 0;            // each once
  uint64_t repeated_ids = 0;       // that named a member again
  Provenance provenance;
  uint64_t rows_evaluated = 0;  // query rows whose traces had to be computed
};

struct ExportTracesRequest {
  std::string posterior;
  SampleSet samples;  // inline ones are evaluated if need be; of a dataset, those with traces
  engine::Observable observable;
  int priority = 0;
  Resumption resumption;
};
struct TraceExportBlock {
  std::vector<std::string> sample_ids;  // an inline sample's is its digest in hex
  uint32_t chains = 0;
  uint32_t draws_per_chain = 0;
  std::vector<float> values;  // [sample][chain][draw]; NaN at a draw that could not be read
  std::vector<uint32_t> chain_indices;
  std::string resume_token;
};

struct TraceSamplesRequest {
  RequestId request;
  std::string posterior;
  std::string dataset;
  std::vector<std::string> sample_ids;  // empty: all living samples
  bool tokens = false;
  int priority = 0;
};

class Queries {
 public:
  struct Options {
    int64_t trace_cache_bytes = int64_t{256} << 20;  // decoded rows, shared by all queries
    int64_t draw_cache_bytes = int64_t{256} << 20;   // decoded draws
    int64_t slope_cache_bytes = int64_t{256} << 20;  // slopes of pathwise answers
    size_t max_cached_answers = 256;
    int scoring_threads = 2;  // that share one answer's candidates, the caller's included
  };
  struct Parts {
    storage::Store& store;
    engine::Engine& engine;
    Datasets& datasets;
    Posteriors& posteriors;
    OpenPosteriors& traces;
    OperationManager& operations;
    DeviceExecutor& executor;
    ModelCache& models;
    WorkerPool& workers;
    Counters& counters;
    Clock& clock;
  };
  Queries(const Parts& parts, const Options& options);
  ~Queries();

  // Puts trace operations that were running when the daemon stopped back to work. Once, after
  // OperationManager::Recover.
  absl::Status Recover();

  // Rankings for each query. Several updates if rows must be evaluated: from a tenth of the draws
  // on, sharpening; the last has `final` set.
  absl::Status Attribute(const AttributeRequest& request, const CancelToken& cancel,
                         absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink);

  absl::Status ScoreMatrix(const ScoreMatrixRequest& request, const CancelToken& cancel,
                           absl::FunctionRef<absl::Status(const ScoreBlock&)> sink);

  absl::Status SelfInfluence(const SelfInfluenceRequest& request, const CancelToken& cancel,
                             absl::FunctionRef<absl::Status(const SelfInfluenceBlock&)> sink);

  // All scores between the tokens of two sequences. Token traces that are not there are evaluated
  // and kept.
  absl::Status TokenInfluence(const TokenInfluenceRequest& request, const CancelToken& cancel,
                              absl::FunctionRef<absl::Status(const TokenInfluenceBlock&)> sink);

  // The influence of a set of samples as a whole, in one pass over its members' traces, a block at
  // a time.
  absl::StatusOr<GroupInfluenceAnswer> GroupInfluence(const GroupInfluenceRequest& request,
                                                      const CancelToken& cancel);

  absl::Status ExportTraces(const ExportTracesRequest& request, const CancelToken& cancel,
                            absl::FunctionRef<absl::Status(const TraceExportBlock&)> sink);

  // Starts an operation that evaluates the losses of stored samples, with `tokens` also those of
  // their tokens, at every draw and keeps them.
  // It goes on after a restart where it stopped; what is traced already is not evaluated again.
  absl::StatusOr<Operation> TraceSamples(const TraceSamplesRequest& request);

  int64_t cached_draw_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bif::jobs
