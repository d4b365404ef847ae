// Which candidates could still enter a top k, and which of them to refine first.
//
// The top k at one end, with sign +1 for the largest scores and -1 for the smallest. A candidate
// has the interval [s - h, s + h], h = t * standard error, in the direction of the sign. It is
//   decided in   if fewer than k others have an upper end at or above its lower end,
//   decided out  if at least k others have a lower end above its upper end,
//   a contender  otherwise.
// If every interval holds its score, the true top k lies in "in" plus contenders. With intervals of
// confidence 1 - a each, a given true member is ruled out with probability below about a / 2: that
// is what a recall asks for. For all n intervals at once pass `simultaneous` (Bonferroni).
//
// The order of refinement is that of LUCB (Kalyanakrishnan, Tewari, Auer and Stone 2012) in
// batches: of the k that lead, those with the lowest lower ends, and of the others those with the
// highest upper ends, in turn. Only these can tell whether the boundary runs where it seems to. How
// many are carried how far follows sequential halving (Karnin, Koren and Somekh 2013).
//
// Plain numbers; pure functions. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace bif::attribution {

struct CandidateScore {
  double score = 0;
  double standard_error = 0;  // infinite: nothing is known of it
  double degrees = 1;         // of its Student's t
};

struct ContenderRule {
  int64_t k = 10;
  int sign = 1;               // +1: the largest scores are best; -1: the smallest
  double confidence = 0.95;   // of an interval, two-sided, in (0, 1)
  bool simultaneous = false;  // of all intervals together
};

struct Contenders {
  std::vector<int64_t> in;         // decided in the top k, by index, ascending
  std::vector<int64_t> undecided;  // in the order in which to refine them
  std::vector<int64_t> leaders;    // the k best by score, the best first; ties by index
  bool separated = false;          // nothing is undecided: the top k is what `leaders` says
};

// Indices are those of `candidates`. With k >= candidates all are in.
Contenders FindContenders(absl::Span<const CandidateScore> candidates, const ContenderRule& rule);

// For both ends: refinement of one candidate serves both. `undecided` of the two, in turn, each
// once.
std::vector<int64_t> RefinementOrder(const Contenders& one_end, const Contenders& other_end);

// What refining costs, in forward passes of one sample.
struct RefinementCost {
  double advance = 0;      // to carry the tangents from one draw to the next, whatever the rows
  double row = 3;          // a slope of one row at a draw, all queries together
  double new_stretch = 0;  // burn-in of a stretch, before its first draw
};

struct RefinementRound {
  int64_t rows = 0;   // the first so many of the order of refinement; 0: stop
  int64_t draws = 0;  // at each
  double cost = 0;    // never above the budget left
};

// The next round: about half of the undecided stay after each, so there are log2(undecided / k)
// rounds to come, among which the budget that is left is shared evenly. A round takes all undecided
// rows where that leaves at least `least_draws` draws a row, else only as many as it does. rows = 0
// means that nothing is undecided, or that the budget is too small for one draw of k rows.
RefinementRound NextRound(int64_t undecided, int64_t k, double budget_left,
                          const RefinementCost& cost, int64_t least_draws);

}  // namespace bif::attribution
