// The best k candidates at both ends of a stream of scores, without holding all scores.
//
// Thread-compatible: one Ranking a thread, merged at the end. The result does not depend on the
// order in which scores arrive: equal scores rank by candidate index, the smaller first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "src/attribution/score.h"

namespace bif::attribution {

struct RankedCandidate {
  int64_t candidate = 0;  // index given by the caller
  ScoreValue value;
};

// The best `capacity` candidates seen so far, by `sign * score`, in a heap whose top is the worst
// of them.
class BestCandidates {
 public:
  BestCandidates(int64_t capacity, int sign) : capacity_(capacity), sign_(sign) {}

  // Whether it is among the best so far.
  bool Keeps(const RankedCandidate& candidate) const {
    if (Signed(candidate) < floor_) return false;
    return static_cast<int64_t>(heap_.size()) < capacity_ || Better(candidate, heap_.front());
  }
  void Add(const RankedCandidate& candidate) {
    if (Keeps(candidate)) Insert(candidate);
  }
  const std::vector<RankedCandidate>& unsorted() const { return heap_; }
  // `sign * score` below it is not kept. Rises as better ones come.
  float floor() const {
    const bool full = static_cast<int64_t>(heap_.size()) == capacity_ && capacity_ > 0;
    return full ? std::max(floor_, Signed(heap_.front())) : floor_;
  }
  // Somebody else keeps `capacity` candidates that are at least as good as this.
  void RaiseFloor(float floor) { floor_ = std::max(floor_, floor); }
  std::vector<RankedCandidate> Sorted() const;  // the best first

 private:
  float Signed(const RankedCandidate& candidate) const {
    return static_cast<float>(sign_) * candidate.value.score;
  }
  bool Better(const RankedCandidate& a, const RankedCandidate& b) const {
    const float left = Signed(a);
    const float right = Signed(b);
    return left > right || (left == right && a.candidate < b.candidate);
  }
  void Insert(const RankedCandidate& candidate);

  int64_t capacity_;
  int sign_;
  float floor_ = -std::numeric_limits<float>::infinity();
  std::vector<RankedCandidate> heap_;
};

struct RankingResult {
  std::vector<RankedCandidate> helpful;  // the most helpful first
  std::vector<RankedCandidate> harmful;  // the most harmful first
  // Expected share of the k that stays under resampling, see stability.h; 0..1.
  double helpful_stability = 0;
  double harmful_stability = 0;
};

class Ranking {
 public:
  // Ranks `candidates` in all, k <= candidates at both ends. `helpful_sign` as HelpfulSign gives
  // it.
  Ranking(int64_t k, int64_t candidates, int helpful_sign);

  void Add(const RankedCandidate& candidate) {
    helpful_.Add(candidate);
    harmful_.Add(candidate);
    if (IsSampled(candidate.candidate)) sample_.push_back(candidate);
  }
  // Candidates that are taken whatever their score: they stand for the field in stability.h.
  bool IsSampled(int64_t candidate) const { return candidate % sample_every_ == 0; }
  // Scores above `low` and below `high` are kept by neither end.
  struct Bounds {
    float high;
    float low;
  };
  Bounds bounds() const {
    return helpful_sign_ > 0 ? Bounds{helpful_.floor(), -harmful_.floor()}
                             : Bounds{harmful_.floor(), -helpful_.floor()};
  }
  // Of another Ranking of the same query and k: what falls short of them cannot be among the best
  // of both.
  void Raise(const Bounds& bounds) {
    helpful_.RaiseFloor(helpful_sign_ > 0 ? bounds.high : -bounds.low);
    harmful_.RaiseFloor(helpful_sign_ > 0 ? -bounds.low : bounds.high);
  }

  // Candidate first + i has scores[i * stride].
  void Add(int64_t first, int64_t count, const ScoreValue* scores, int64_t stride);
  void Merge(const Ranking& other);
  RankingResult Finish() const;

 private:
  int64_t k_;
  int64_t candidates_;
  int64_t sample_every_;
  int helpful_sign_;
  BestCandidates helpful_;
  BestCandidates harmful_;
  std::vector<RankedCandidate> sample_;  // every sample_every_-th candidate
};

}  // namespace bif::attribution
