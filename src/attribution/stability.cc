#include "src/attribution/stability.h"

#include <algorithm>
#include <cmath>

#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

struct Contender {
  double score;  // larger is better
  double standard_error;
  double weight;  // candidates that it stands for
};

double ChanceToPass(const Contender& c, double level) {
  if (std::isinf(c.standard_error)) return 0.5;
  if (c.standard_error <= 0) return c.score > level ? 1.0 : (c.score == level ? 0.5 : 0.0);
  return NormalCdf((c.score - level) / c.standard_error);
}

}  // namespace

double ExpectedShareThatStays(const std::vector<RankedCandidate>& best,
                              const std::vector<RankedCandidate>& sample, int64_t k,
                              int64_t candidates) {
  if (best.empty() || k >= candidates) return 1;
  const RankedCandidate& first = best.front();
  const RankedCandidate& last = best.back();
  const double sign = first.value.score >= last.value.score ? 1 : -1;
  const auto better_than_last = [&](const RankedCandidate& c) {
    const double a = sign * c.value.score;
    const double b = sign * last.value.score;
    return a > b || (a == b && c.candidate <= last.candidate);
  };

  std::vector<Contender> contenders;
  double low = sign * last.value.score;
  double high = sign * first.value.score;
  const auto add = [&](const RankedCandidate& c, double weight) {
    const Contender contender{sign * c.value.score, c.value.standard_error, weight};
    contenders.push_back(contender);
    if (std::isinf(contender.standard_error)) return;
    low = std::min(low, contender.score - 8 * contender.standard_error);
    high = std::max(high, contender.score + 8 * contender.standard_error);
  };
  for (const RankedCandidate& c : best) add(c, 1);
  int64_t standing = 0;
  for (const RankedCandidate& c : sample) standing += better_than_last(c) ? 0 : 1;
  const double weight =
      standing == 0
          ? 0
          : static_cast<double>(candidates - static_cast<int64_t>(best.size())) / standing;
  for (const RankedCandidate& c : sample) {
    if (!better_than_last(c)) add(c, weight);
  }

  // The expected number that passes falls as the level rises: bisection.
  for (int i = 0; i < 40; ++i) {
    const double level = 0.5 * (low + high);
    double passing = 0;
    for (const Contender& c : contenders) passing += c.weight * ChanceToPass(c, level);
    (passing > static_cast<double>(k) ? low : high) = level;
  }
  const double level = 0.5 * (low + high);
  double staying = 0;
  for (int64_t i = 0; i < k; ++i) staying += ChanceToPass(contenders[i], level);
  return std::clamp(staying / static_cast<double>(k), 0.0, 1.0);
}

}  // namespace bif::attribution
