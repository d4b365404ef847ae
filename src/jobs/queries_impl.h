// What Queries is made of: declared here, because queries.cc (asking, ranking, tracing),
// score_streams.cc (everything in blocks) and token_influence.cc all belong to it. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/jobs/candidates.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/lru_cache.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/queries.h"
#include "src/jobs/query_rows.h"
#include "src/jobs/ranking_groups.h"
#include "src/jobs/shared_scans.h"
#include "src/jobs/trace_cache.h"

namespace bif::jobs {

inline absl::Status CancelledQuery() { return absl::CancelledError("the query was cancelled"); }

class Queries::Impl {
 public:
  Impl(const Parts& parts, const Options& options)
      : parts_(parts),
        options_(options),
        draws_(parts.store, &parts.workers, parts.counters, options.draw_cache_bytes),
        traces_(parts.store.traces(), options.trace_cache_bytes),
        resolver_(parts.store, parts.datasets),
        reader_(parts.store, parts.datasets, traces_),
        answers_(static_cast<int64_t>(options.max_cached_answers)),
        scans_(parts.executor, parts.models, draws_, parts.counters),
        request_ids_(parts.store.catalog()) {
    parts.posteriors.OnDeleted([this](uint64_t number) {
      draws_.ForgetPosterior(number);
      traces_.ForgetPosterior(number);
    });
  }

  absl::Status Recover();
  absl::Status Attribute(const AttributeRequest& request, const CancelToken& cancel,
                         absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink);
  absl::Status ScoreMatrix(const ScoreMatrixRequest& request, const CancelToken& cancel,
                           absl::FunctionRef<absl::Status(const ScoreBlock&)> sink);
  absl::Status SelfInfluence(const SelfInfluenceRequest& request, const CancelToken& cancel,
                             absl::FunctionRef<absl::Status(const SelfInfluenceBlock&)> sink);
  absl::Status TokenInfluence(const TokenInfluenceRequest& request, const CancelToken& cancel,
                              absl::FunctionRef<absl::Status(const TokenInfluenceBlock&)> sink);
  absl::Status ExportTraces(const ExportTracesRequest& request, const CancelToken& cancel,
                            absl::FunctionRef<absl::Status(const TraceExportBlock&)> sink);
  absl::StatusOr<Operation> TraceSamples(const TraceSamplesRequest& request);
  int64_t cached_draw_bytes() const { return draws_.cached_bytes(); }

 private:
  // A posterior as a query sees it.
  struct Opened {
    PosteriorView view;
    std::shared_ptr<PosteriorTraces> traces;
  };
  absl::StatusOr<Opened> Open(const std::string& posterior, const engine::Observable& observable);

  // What happens while rows are being evaluated: a report whenever a tenth more of the draws is
  // there, as long as that does not slow the evaluation down.
  struct Progress {
    absl::FunctionRef<absl::Status(const EvaluatedRows&, DrawWindow done)> report;
    absl::Duration expected_cost;  // of the first report; later ones are timed
  };
  // All rows' traces: read where they are stored, evaluated and kept where not.
  absl::StatusOr<std::shared_ptr<EvaluatedRows>> TracesOf(QueryRows& rows, const Opened& opened,
                                                          const engine::Observable& observable,
                                                          const CancelToken& cancel,
                                                          const Progress& on_progress);
  absl::Status Evaluate(const QueryRows& rows, const Opened& opened,
                        const engine::Observable& observable, const CancelToken& cancel,
                        const Progress& on_progress, std::shared_ptr<EvaluatedRows> values);

  absl::StatusOr<AttributeUpdate> Answer(const AttributeRequest& request, const Opened& opened,
                                         const QueryRows& rows, const Candidates& candidates,
                                         const std::vector<uint32_t>& missing_columns,
                                         const EvaluatedRows& values, DrawWindow done, int64_t k,
                                         const CancelToken& cancel);
  // What a pass over candidates depends on but for its queries.
  static std::string RankingKey(const AttributeRequest& request, const Opened& opened,
                                const Candidates& candidates, const DrawSelection& selection);
  // Empty if some row has no trace yet: then there is nothing to look up.
  static std::string AnswerKey(const AttributeRequest& request, const Opened& opened,
                               const QueryRows& rows, const Candidates& candidates, int64_t k);

  absl::Status StartTracing(std::shared_ptr<RunningOperation> operation,
                            const std::string& posterior);

  const Parts parts_;
  const Options options_;
  DrawReader draws_;
  TraceCache traces_;
  QueryRowsResolver resolver_;
  CandidateReader reader_;
  LruCache<std::string, std::shared_ptr<const AttributeUpdate>>
      answers_;  // an answer counts as one byte
  SharedScans scans_;
  RankingGroups rankings_;
  absl::Mutex request_mutex_;  // makes looking up a request id and starting its operation one step
  RequestIds request_ids_;
};

}  // namespace bif::jobs
