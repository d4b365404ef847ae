#include "client/cli/attribution_output.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/output.h"
#include "client/cli/pathwise_output.h"

namespace bif::client {

namespace {

std::string PositionText(const v1::Observable& observable) {
  return observable.position() > 0 ? absl::StrCat(" at position ", observable.position()) : "";
}

}  // namespace

std::string ObservableText(const v1::Observable& observable) {
  switch (observable.kind()) {
    case v1::CORRECT_PROBABILITY:
      return "probability of the correct class";
    case v1::MARGIN:
      return "margin";
    case v1::LOGIT:
      return absl::StrCat("logit ", observable.logit_index(), PositionText(observable));
    case v1::LOGIT_DIFFERENCE:
      return absl::StrCat("logit ", observable.logit_index(), " minus logit ",
                          observable.other_logit_index(), PositionText(observable));
    case v1::SPAN_LOSS:
      return absl::StrCat("loss of the tokens from position ", observable.span_begin(),
                          observable.span_end() > 0
                              ? absl::StrCat(" to before ", observable.span_end())
                              : std::string(" on"));
    case v1::TOKEN_PROBABILITY:
      return absl::StrCat("probability of the token", PositionText(observable));
    default:
      return "loss";
  }
}

std::string ProvenanceText(const v1::Provenance& p) {
  const std::string estimator = Kebab(v1::Estimator_Name(p.estimator()));
  if (p.estimator() == v1::PATHWISE) {  // traces are not in it
    return absl::StrCat(estimator, ", of the query's ", ObservableText(p.observable()), "; ",
                        SlopesText(p.pathwise()));
  }
  return absl::StrCat(estimator, ", ", Kebab(v1::Centring_Name(p.centring())), ", of the query's ",
                      ObservableText(p.observable()), "; ", DrawsText(p),
                      p.has_pathwise() ? absl::StrCat("; ", SlopesText(p.pathwise())) : "");
}

std::string DrawsText(const v1::Provenance& p) {
  std::string text = absl::StrCat(p.chains(), " chains x ", p.draws_per_chain(), " draws, ",
                                  p.jackknife_blocks(), " jackknife blocks");
  if (p.chains_left_out_size() > 0) {
    absl::StrAppend(&text, "; left out: chain ", absl::StrJoin(p.chains_left_out(), ", "));
  }
  if (p.draws_left_out() > 0) {
    absl::StrAppend(&text, "; ", p.draws_left_out(), " unreadable draws left out");
  }
  return text;
}

std::string EffectText(const v1::Score& score) {
  if (score.constant()) return "constant";
  return absl::StrCat(score.helps() ? "helps" : "hurts", score.distinguishable() ? "" : " ?",
                      score.refined() ? " *" : "");
}

namespace {

// Both ends side by side, the strongest first.
void PrintRanking(Session& session, const v1::QueryRanking& ranking) {
  Table table({">RANK", "HELPFUL", ">SCORE", "", "HARMFUL", ">SCORE", ""});
  const int rows = std::max(ranking.helpful_size(), ranking.harmful_size());
  for (int r = 0; r < rows; ++r) {
    std::vector<std::string> cells = {absl::StrCat(r + 1)};
    for (const auto* end : {&ranking.helpful(), &ranking.harmful()}) {
      if (r >= end->size()) {
        cells.insert(cells.end(), 3, "");
        continue;
      }
      const v1::Score& score = (*end)[r];
      cells.push_back(score.sample_id());
      cells.push_back(ScoreText(score.score(), score.standard_error()));
      cells.push_back(EffectText(score));
    }
    table.Add(std::move(cells));
  }
  table.Print(session.out);
  session.out << absl::StrFormat("stability  helpful %.0f %%, harmful %.0f %%\n",
                                 100 * ranking.helpful_stability(),
                                 100 * ranking.harmful_stability());
  if (!ranking.has_refined()) return;
  session.out << RefinedText(ranking.refined(), ranking.helpful_size(), ranking.harmful_size())
              << "\n";
}

bool IsRefined(const v1::AttributeResponse& response) {
  return response.rankings_size() > 0 && response.rankings(0).has_refined();
}

}  // namespace

void PrintAttribution(Session& session, const v1::AttributeResponse& response) {
  if (session.json) return PrintJson(session.out, response);
  for (const v1::QueryRanking& ranking : response.rankings()) {
    const std::string query =
        ranking.sample_id().empty() ? absl::StrCat("#", ranking.query()) : ranking.sample_id();
    if (session.quiet) {
      for (const v1::Score& score : ranking.helpful()) {
        session.out << query << "\thelpful\t" << score.sample_id() << "\n";
      }
      for (const v1::Score& score : ranking.harmful()) {
        session.out << query << "\tharmful\t" << score.sample_id() << "\n";
      }
      continue;
    }
    session.out << "query " << query << "\n";
    PrintRanking(session, ranking);
    session.out << "\n";
  }
  if (session.quiet) return;
  session.out << ProvenanceText(response.provenance()) << "\n"
              << "? : not distinguishable from zero (95 %); "
              << (IsRefined(response) ? "* : refined; " : "")
              << Count(static_cast<int64_t>(response.rows_evaluated()))
              << " query samples had to be evaluated\n";
  if (!response.provenance().has_pathwise()) return;
  for (const std::string& note : PathwiseNotes(response.provenance().pathwise()))
    session.out << note << "\n";
}

}  // namespace bif::client
