#include "src/attribution/ranking.h"

#include <algorithm>

#include "src/attribution/stability.h"

namespace bif::attribution {
namespace {

// Candidates kept at an end beyond the k that are asked for, to see what could replace them.
int64_t KeptFor(int64_t k, int64_t candidates) {
  return std::min(candidates, std::max<int64_t>(4 * k, 256));
}

constexpr int64_t kSampleSize = 512;

}  // namespace

void BestCandidates::Insert(const RankedCandidate& candidate) {
  const auto better = [this](const RankedCandidate& a, const RankedCandidate& b) {
    return Better(a, b);
  };
  if (static_cast<int64_t>(heap_.size()) == capacity_) {
    std::pop_heap(heap_.begin(), heap_.end(), better);
    heap_.pop_back();
  }
  heap_.push_back(candidate);
  std::push_heap(heap_.begin(), heap_.end(), better);
}

std::vector<RankedCandidate> BestCandidates::Sorted() const {
  std::vector<RankedCandidate> sorted = heap_;
  std::sort(sorted.begin(), sorted.end(),
            [this](const RankedCandidate& a, const RankedCandidate& b) { return Better(a, b); });
  return sorted;
}

Ranking::Ranking(int64_t k, int64_t candidates, int helpful_sign)
    : k_(k),
      candidates_(candidates),
      sample_every_((candidates + kSampleSize - 1) / kSampleSize),
      helpful_sign_(helpful_sign),
      helpful_(KeptFor(k, candidates), helpful_sign),
      harmful_(KeptFor(k, candidates), -helpful_sign) {}

void Ranking::Add(int64_t first, int64_t count, const ScoreValue* scores, int64_t stride) {
  for (int64_t i = 0; i < count; ++i) Add({first + i, scores[i * stride]});
}

void Ranking::Merge(const Ranking& other) {
  for (const RankedCandidate& c : other.helpful_.unsorted()) helpful_.Add(c);
  for (const RankedCandidate& c : other.harmful_.unsorted()) harmful_.Add(c);
  sample_.insert(sample_.end(), other.sample_.begin(), other.sample_.end());
}

RankingResult Ranking::Finish() const {
  RankingResult result;
  std::vector<RankedCandidate> sample = sample_;
  std::sort(sample.begin(), sample.end(), [](const RankedCandidate& a, const RankedCandidate& b) {
    return a.candidate < b.candidate;
  });
  const auto finish_end = [&](const BestCandidates& end, std::vector<RankedCandidate>& best,
                              double& stability) {
    best = end.Sorted();
    stability = ExpectedShareThatStays(best, sample, k_, candidates_);
    best.resize(std::min<size_t>(best.size(), static_cast<size_t>(k_)));
  };
  finish_end(helpful_, result.helpful, result.helpful_stability);
  finish_end(harmful_, result.harmful, result.harmful_stability);
  return result;
}

}  // namespace bif::attribution
