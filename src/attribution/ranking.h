// The best k candidates at both ends of a stream of scores, without holding all scores.
//
// Thread-compatible: one Ranking a thread, merged at the end. The result does not depend on the
// order in which scores arrive: equal scores rank by candidate index, the smaller first.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/attribution/estimator.h"

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

  void Add(const RankedCandidate& candidate) {
    if (static_cast<int64_t>(heap_.size()) == capacity_ && !Better(candidate, heap_.front()))
      return;
    Insert(candidate);
  }
  const std::vector<RankedCandidate>& unsorted() const { return heap_; }
  std::vector<RankedCandidate> Sorted() const;  // the best first

 private:
  bool Better(const RankedCandidate& a, const RankedCandidate& b) const {
    const float left = static_cast<float>(sign_) * a.value.score;
    const float right = static_cast<float>(sign_) * b.value.score;
    return left > right || (left == right && a.candidate < b.candidate);
  }
  void Insert(const RankedCandidate& candidate);

  int64_t capacity_;
  int sign_;
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

  // Candidate first + i has scores[i * stride].
  void Add(int64_t first, int64_t count, const ScoreValue* scores, int64_t stride);
  void Merge(const Ranking& other);
  RankingResult Finish() const;

 private:
  int64_t k_;
  int64_t candidates_;
  int64_t sample_every_;
  BestCandidates helpful_;
  BestCandidates harmful_;
  std::vector<RankedCandidate>
      sample_;  // every sample_every_-th candidate: stands for the field in stability.h
};

}  // namespace bif::attribution
