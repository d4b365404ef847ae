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

// Beyond so many standard errors a chance counts as 0 or 1: it is off by less than 1e-15.
constexpr double kCertain = 8;

double ChanceToPass(const Contender& c, double level) {
  if (std::isinf(c.standard_error)) return 0.5;
  if (c.standard_error <= 0) return c.score > level ? 1.0 : (c.score == level ? 0.5 : 0.0);
  const double distance = (c.score - level) / c.standard_error;
  if (std::abs(distance) > kCertain) return distance > 0 ? 1.0 : 0.0;
  return NormalCdf(distance);
}

// The level that k candidates are expected to pass. Their number falls as the level rises, so it
// lies between bounds that close in from both sides: by false position, by halves where that is
// slow or the number jumps.
double LevelThatPasses(const std::vector<Contender>& contenders, double k, double low,
                       double high) {
  const auto excess = [&](double level) {
    double passing = 0;
    for (const Contender& c : contenders) passing += c.weight * ChanceToPass(c, level);
    return passing - k;
  };
  double at_low = excess(low);
  double at_high = excess(high);
  if (at_low <= 0) return low;
  if (at_high >= 0) return high;
  for (int i = 0; i < 80; ++i) {
    const double width = high - low;
    if (width <= 1e-12 * (std::abs(low) + std::abs(high))) break;
    const bool halve = i % 3 == 2;
    const double level = halve ? 0.5 * (low + high) : low + width * (at_low / (at_low - at_high));
    const double here = excess(level);
    if (std::abs(here) <= 1e-9 * k) return level;
    if (here > 0) {
      low = level;
      at_low = here;
      at_high *= 0.5;  // the side that stays counts less (Illinois; Dowell and Jarratt 1971)
    } else {
      high = level;
      at_high = here;
      at_low *= 0.5;
    }
  }
  return 0.5 * (low + high);
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
    low = std::min(low, contender.score - kCertain * contender.standard_error);
    high = std::max(high, contender.score + kCertain * contender.standard_error);
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

  const double level = LevelThatPasses(contenders, static_cast<double>(k), low, high);
  double staying = 0;
  for (int64_t i = 0; i < k; ++i) staying += ChanceToPass(contenders[i], level);
  return std::clamp(staying / static_cast<double>(k), 0.0, 1.0);
}

}  // namespace bif::attribution
