// Rankings of the same candidates that are asked for at the same time share one pass over their
// rows: while a pass runs, whoever comes waits, and the next pass serves all of them. Who comes
// alone waits for nobody. A score has the same bits in whichever company it is computed.
//
// Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/attribution/estimator.h"
#include "src/attribution/ranking.h"
#include "src/base/cancel.h"
#include "src/jobs/scoring.h"
#include "src/jobs/taken_together.h"

namespace bif::jobs {

class RankingGroups {
 public:
  using Rankings = std::vector<attribution::RankingResult>;  // one a query

  // What one caller wants.
  struct Wanted {
    const PreparedScorer& prepared;
    std::vector<RankingWish> wishes;  // one a query
    CancelToken cancel;
  };
  // How rows are scored, on the thread of one of the callers; all callers with the same key must
  // mean the same by these.
  struct Means {
    absl::FunctionRef<absl::StatusOr<attribution::Scorer>(absl::Span<const float> traces)> scorer;
    absl::FunctionRef<absl::StatusOr<Rankings>(const attribution::Scorer&,
                                               const std::vector<RankingWish>&,
                                               absl::FunctionRef<bool()> cancelled)>
        pass;
  };

  // `key`: everything that the rows, the draws and the numbers depend on but the queries.
  // CANCELLED for who cancels before a pass begins, and for all in it once all of them have.
  absl::StatusOr<Rankings> Rank(const std::string& key, const Wanted& wanted, const Means& means);

 private:
  struct Request {
    const Wanted* wanted = nullptr;
    absl::StatusOr<Rankings> rankings = absl::UnknownError("not ranked yet");
  };
  static constexpr size_t kMostQueries = 256;  // of one pass, unless one caller has more

  // Serves these in one pass; all have the same key.
  static void Serve(const std::vector<Request*>& together, const Means& means);

  TakenTogether<Request> passes_{kMostQueries};
};

}  // namespace bif::jobs
