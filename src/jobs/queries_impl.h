// What Queries is made of: declared here, because queries.cc (asking, ranking, tracing),
// score_streams.cc (everything in blocks), group_influence.cc, token_influence.cc,
// pair_queries.cc (what slopes are asked for, and answers of pairs), pathwise_queries.cc (scores
// from slopes) and refine_queries.cc (slopes for a top k) all belong to it. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/jobs/candidates.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/lru_cache.h"
#include "src/jobs/pair_scores.h"
#include "src/jobs/posterior_traces.h"
#include "src/jobs/queries.h"
#include "src/jobs/query_rows.h"
#include "src/jobs/ranking_groups.h"
#include "src/jobs/scoring.h"
#include "src/jobs/shared_scans.h"
#include "src/jobs/slope_planning.h"
#include "src/jobs/slope_table.h"
#include "src/jobs/tangent_plans.h"
#include "src/jobs/tangent_run.h"
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
        slopes_(options.slope_cache_bytes),
        scans_(parts.executor, parts.models, draws_, parts.counters),
        request_ids_(parts.store.catalog()) {
    parts.posteriors.OnDeleted([this](uint64_t number) {
      draws_.ForgetPosterior(number);
      traces_.ForgetPosterior(number);
      slopes_.EraseIf([prefix = absl::StrCat(number, "/")](const std::string& key) {
        return absl::StartsWith(key, prefix);
      });
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
  absl::StatusOr<GroupInfluenceAnswer> GroupInfluence(const GroupInfluenceRequest& request,
                                                      const CancelToken& cancel);
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
    absl::Duration query_cost;  // of the first report, for each query; later ones are timed
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

  // --- slopes: pathwise_queries.cc, refine_queries.cc ---
  // A question about pairs, checked and with everything looked up that it needs.
  struct Asked {
    Opened opened;
    QueryRows rows;
    Candidates candidates;
    engine::Observable observable;
    attribution::Centring centring = attribution::Centring::kPooled;
    size_t missing_rows = 0;  // of the queries, when it was asked
    int sign = 1;             // as HelpfulSign says for BIF
  };
  // What scores from slopes rest on; kept in memory only.
  struct KnownSlopes {
    SlopeTable table;
    PathwiseProvenance provenance;
    absl::Duration waited;  // for the device, by who took them

    // After a round: what it gave, and how the session stands.
    void Add(const TangentSession& session, std::shared_ptr<const SlopeRound> round);
  };
  using SlopeProgress = absl::FunctionRef<absl::Status(const KnownSlopes& so_far, int64_t draws)>;
  // Pairs of candidates and queries, [query][candidate], and what they rest on.
  struct PairAnswer {
    std::vector<std::vector<PairScore>> scores;
    PathwiseProvenance provenance;
  };

  // Everything a question with slopes needs first; the traces of its queries are there afterwards.
  absl::StatusOr<Asked> AskForPairs(const std::string& posterior, const SampleSet& queries,
                                    const SampleSet& candidates,
                                    const engine::Observable& observable,
                                    attribution::Centring centring, int priority);
  absl::StatusOr<std::shared_ptr<EvaluatedRows>> TracesFor(Asked& asked, const CancelToken& cancel);
  static absl::StatusOr<int64_t> TopKOf(const AttributeRequest& request,
                                        const Candidates& candidates);
  // What traces say: BIF of all pairs, but not with kPathwise, and the answer's provenance.
  struct TracesPart {
    std::vector<TraceScores> scores;  // one a query
    Provenance provenance;
  };
  absl::StatusOr<TracesPart> TracesPartOf(Asked& asked, attribution::Estimator estimator,
                                          const CancelToken& cancel);
  // BIF of all pairs from traces: one a query.
  absl::StatusOr<std::vector<TraceScores>> TraceScoresOf(const Asked& asked,
                                                         const PreparedScorer& prepared,
                                                         const CancelToken& cancel);
  // Slopes of all pairs at `draws` draws: those that are known, or a replay.
  absl::StatusOr<std::shared_ptr<const KnownSlopes>> SlopesOf(
      const Asked& asked, const attribution::TangentRelaxation& relaxation, int64_t draws,
      const CancelToken& cancel, SlopeProgress progress);
  // kPathwise or kMixed; `traces` with the latter. FAILED_PRECONDITION where a query has no stretch
  // left and no traces to fall back on.
  absl::StatusOr<PairAnswer> PairsFrom(const Asked& asked, attribution::Estimator estimator,
                                       const KnownSlopes& slopes,
                                       const std::vector<TraceScores>& traces) const;
  // `traces` is of the part from traces, and names the estimator that was asked for.
  static Provenance RestsOn(const Provenance& traces, const PairAnswer& pairs);
  absl::StatusOr<TangentQuestion> QuestionOf(const Asked& asked, const SlopePlan& plan);
  static size_t MostOpen(const Asked& asked);  // stretches that go on side by side
  TangentSession::Parts SessionParts() {
    return {parts_.store, parts_.models, tangent_plans_, parts_.clock};
  }
  // Rankings, with ids and all; with `contenders`, of each query, those of a refined top k.
  absl::StatusOr<AttributeUpdate> RankedUpdate(
      const Asked& asked, const PairAnswer& pairs, const Provenance& provenance, int64_t k,
      const std::vector<ContendersOfBoth>* contenders = nullptr);
  absl::Status AttributeWithSlopes(const AttributeRequest& request, const CancelToken& cancel,
                                   absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink);
  absl::Status Refine(const AttributeRequest& request, const CancelToken& cancel,
                      absl::FunctionRef<absl::Status(const AttributeUpdate&)> sink);
  absl::Status ScoreMatrixWithSlopes(const ScoreMatrixRequest& request, const CancelToken& cancel,
                                     absl::FunctionRef<absl::Status(const ScoreBlock&)> sink);
  // Of the queries and candidates; empty if a query has no name yet.
  static std::string PairsKey(const Asked& asked);

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
  LruCache<std::string, std::shared_ptr<const KnownSlopes>> slopes_;
  TangentPlans tangent_plans_;  // device thread only
  SharedScans scans_;
  RankingGroups rankings_;
  std::atomic<int64_t> waiting_queries_ = 0;  // for their traces, of all callers
  absl::Mutex request_mutex_;  // makes looking up a request id and starting its operation one step
  RequestIds request_ids_;
};

}  // namespace bif::jobs
