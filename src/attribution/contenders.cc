#include "src/attribution/contenders.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/container/flat_hash_set.h"
#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

// An end of an interval. Equal ends rank by candidate, the smaller first, as rankings do; so two
// candidates that are known exactly, and equal, do not stay undecided for ever.
struct End {
  double at;
  int64_t candidate;
  friend bool operator<(const End& a, const End& b) {
    return a.at != b.at ? a.at < b.at : a.candidate > b.candidate;
  }
};

End NthLargest(std::vector<End> ends, int64_t n) {
  const auto nth = ends.begin() + n;
  std::nth_element(ends.begin(), nth, ends.end(), [](const End& a, const End& b) { return b < a; });
  return *nth;
}

// Elements of both, in turn, the first's first; the longer one's rest at the end.
std::vector<int64_t> InTurn(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  std::vector<int64_t> both;
  both.reserve(a.size() + b.size());
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size()) both.push_back(a[i]);
    if (i < b.size()) both.push_back(b[i]);
  }
  return both;
}

}  // namespace

Contenders FindContenders(absl::Span<const CandidateScore> candidates, const ContenderRule& rule) {
  Contenders found;
  const auto n = static_cast<int64_t>(candidates.size());
  const double sign = rule.sign < 0 ? -1 : 1;
  const int64_t k = std::clamp<int64_t>(rule.k, 0, n);

  found.leaders.resize(n);
  std::iota(found.leaders.begin(), found.leaders.end(), 0);
  std::partial_sort(found.leaders.begin(), found.leaders.begin() + k, found.leaders.end(),
                    [&](int64_t a, int64_t b) {
                      const double left = sign * candidates[a].score;
                      const double right = sign * candidates[b].score;
                      return left != right ? left > right : a < b;
                    });
  found.leaders.resize(k);
  if (k == n || k == 0) {
    found.in = found.leaders;
    std::sort(found.in.begin(), found.in.end());
    found.separated = true;
    return found;
  }

  double error = 1 - rule.confidence;
  if (rule.simultaneous) error /= static_cast<double>(n);
  double fewest = candidates[0].degrees;
  for (const CandidateScore& c : candidates) fewest = std::min(fewest, c.degrees);
  const StudentTQuantiles quantiles(1 - 0.5 * error, std::max(1.0, fewest));
  std::vector<End> lower(n);
  std::vector<End> upper(n);
  for (int64_t i = 0; i < n; ++i) {
    const CandidateScore& c = candidates[i];
    const double half = c.standard_error > 0 ? quantiles.At(c.degrees) * c.standard_error : 0;
    lower[i] = {sign * c.score - half, i};
    upper[i] = {sign * c.score + half, i};
  }

  // A candidate's own lower end is never above its upper end, and its own upper end never below its
  // lower end: so the k-th lower end and the (k+1)-th upper end of all decide.
  const End last_lower = NthLargest(lower, k - 1);
  const End first_upper = NthLargest(upper, k);
  std::vector<bool> leads(n);
  for (const int64_t i : found.leaders) leads[i] = true;
  std::vector<int64_t> insiders;
  std::vector<int64_t> outsiders;
  for (int64_t i = 0; i < n; ++i) {
    if (first_upper < lower[i]) {
      found.in.push_back(i);
    } else if (!(upper[i] < last_lower)) {
      (leads[i] ? insiders : outsiders).push_back(i);
    }
  }
  std::sort(insiders.begin(), insiders.end(),
            [&](int64_t a, int64_t b) { return lower[a] < lower[b]; });
  std::sort(outsiders.begin(), outsiders.end(),
            [&](int64_t a, int64_t b) { return upper[b] < upper[a]; });
  found.undecided = InTurn(insiders, outsiders);
  found.separated = found.undecided.empty();
  return found;
}

std::vector<int64_t> RefinementOrder(const Contenders& one_end, const Contenders& other_end) {
  std::vector<int64_t> order;
  absl::flat_hash_set<int64_t> seen;
  for (const int64_t candidate : InTurn(one_end.undecided, other_end.undecided)) {
    if (seen.insert(candidate).second) order.push_back(candidate);
  }
  return order;
}

RefinementRound NextRound(int64_t undecided, int64_t k, double budget_left,
                          const RefinementCost& cost, int64_t least_draws) {
  if (undecided <= 0) return {};
  const double rounds =
      std::max(1.0, std::ceil(std::log2(static_cast<double>(undecided) /
                                        static_cast<double>(std::max<int64_t>(1, k)))));
  const int64_t fewest_rows = std::min(undecided, std::max<int64_t>(1, k));
  const auto draws_for = [&](double budget, int64_t rows) {
    const double a_draw = cost.advance + cost.row * static_cast<double>(rows);
    return static_cast<int64_t>(std::floor((budget - cost.new_stretch) / a_draw));
  };
  const auto rows_for = [&](double budget, int64_t draws) {
    const double a_draw = (budget - cost.new_stretch) / static_cast<double>(draws);
    return static_cast<int64_t>(
        std::min(static_cast<double>(undecided), std::floor((a_draw - cost.advance) / cost.row)));
  };
  const int64_t least = std::max<int64_t>(1, least_draws);

  RefinementRound round;
  const double share = budget_left / rounds;
  if (draws_for(share, undecided) >= least) {
    round.rows = undecided;
    round.draws = draws_for(share, undecided);
  } else if (rows_for(share, least) >= fewest_rows) {
    round.rows = rows_for(share, least);
    round.draws = least;
  } else if (rows_for(budget_left, least) >= fewest_rows) {
    // Too little for several rounds: all of it for one.
    round.rows = rows_for(budget_left, least);
    round.draws = least;
  } else if (draws_for(budget_left, fewest_rows) >= 1) {
    round.rows = fewest_rows;
    round.draws = draws_for(budget_left, fewest_rows);
  } else {
    return {};
  }
  round.cost = cost.new_stretch + static_cast<double>(round.draws) *
                                      (cost.advance + cost.row * static_cast<double>(round.rows));
  return round;
}

}  // namespace bif::attribution
