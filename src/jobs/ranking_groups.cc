#include "src/jobs/ranking_groups.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"

namespace bif::jobs {

absl::StatusOr<RankingGroups::Rankings> RankingGroups::Rank(const std::string& key,
                                                            const Wanted& wanted,
                                                            const Means& means) {
  Request own;
  own.wanted = &wanted;
  passes_.Serve(key, own, wanted.wishes.size(),
                [&means](const std::vector<Request*>& together) { Serve(together, means); });
  return std::move(own.rankings);
}

void RankingGroups::Serve(const std::vector<Request*>& together, const Means& means) {
  std::vector<Request*> wanting;
  for (Request* request : together) {
    if (request->wanted->cancel.cancelled()) {
      request->rankings = absl::CancelledError("the query was cancelled");
    } else {
      wanting.push_back(request);
    }
  }
  if (wanting.empty()) return;
  const auto cancelled = [&wanting] {
    return std::all_of(wanting.begin(), wanting.end(),
                       [](const Request* r) { return r->wanted->cancel.cancelled(); });
  };
  if (wanting.size() == 1) {
    const Wanted& alone = *wanting[0]->wanted;
    wanting[0]->rankings = means.pass(alone.prepared.scorer, alone.wishes, cancelled);
    return;
  }
  std::vector<float> traces;
  std::vector<RankingWish> wishes;
  for (const Request* request : wanting) {
    const Wanted& one = *request->wanted;
    traces.insert(traces.end(), one.prepared.traces.begin(), one.prepared.traces.end());
    wishes.insert(wishes.end(), one.wishes.begin(), one.wishes.end());
  }
  const auto ranked = [&]() -> absl::StatusOr<Rankings> {
    BIF_ASSIGN_OR_RETURN(const attribution::Scorer scorer, means.scorer(traces));
    return means.pass(scorer, wishes, cancelled);
  }();
  size_t first = 0;
  for (Request* request : wanting) {
    const size_t count = request->wanted->wishes.size();
    if (!ranked.ok()) {
      request->rankings = ranked.status();
    } else {
      const auto from = ranked->begin() + static_cast<std::ptrdiff_t>(first);
      request->rankings = Rankings(from, from + static_cast<std::ptrdiff_t>(count));
    }
    first += count;
  }
}

}  // namespace bif::jobs
