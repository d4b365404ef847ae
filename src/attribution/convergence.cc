#include "src/attribution/convergence.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "src/attribution/student_t.h"

namespace bif::attribution {
namespace {

struct Chains {
  int64_t count = 0;
  int64_t draws = 0;
  std::vector<double> values;
  const double* chain(int64_t c) const { return values.data() + c * draws; }
};

// Halves of every chain as chains of their own; the middle draw of an odd number is left out.
Chains Split(int64_t chains, int64_t draws, absl::Span<const float> values) {
  Chains halves{2 * chains, draws / 2, {}};
  halves.values.reserve(halves.count * halves.draws);
  for (int64_t c = 0; c < chains; ++c) {
    const float* chain = values.data() + c * draws;
    halves.values.insert(halves.values.end(), chain, chain + halves.draws);
    halves.values.insert(halves.values.end(), chain + draws - halves.draws, chain + draws);
  }
  return halves;
}

// Each value's normal score: Phi^-1((rank - 3/8) / (S + 1/4)), ties sharing their mean rank
// (equation 14 there).
void RankNormalise(std::vector<double>& values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return values[a] < values[b]; });
  std::vector<double> scores(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i + 1;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double rank = 0.5 * static_cast<double>(i + 1 + end);
    const double score =
        NormalQuantile((rank - 0.375) / (static_cast<double>(values.size()) + 0.25));
    for (; i < end; ++i) scores[order[i]] = score;
  }
  values = std::move(scores);
}

// |value - median| of all values.
void Fold(std::vector<double>& values) {
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  const double median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
  for (double& v : values) v = std::abs(v - median);
}

struct Moments {
  std::vector<double> means;  // a chain
  double within = 0;          // W: mean of the chains' variances (divisor draws - 1)
  double between_mean = 0;    // B / draws: variance of the chains' means
};

Moments MomentsOf(const Chains& chains) {
  Moments m;
  for (int64_t c = 0; c < chains.count; ++c) {
    const double* x = chains.chain(c);
    const double mean =
        std::accumulate(x, x + chains.draws, 0.0) / static_cast<double>(chains.draws);
    double squares = 0;
    for (int64_t t = 0; t < chains.draws; ++t) squares += (x[t] - mean) * (x[t] - mean);
    m.means.push_back(mean);
    m.within += squares / static_cast<double>(chains.draws - 1) / static_cast<double>(chains.count);
  }
  if (chains.count > 1) {
    const double grand =
        std::accumulate(m.means.begin(), m.means.end(), 0.0) / static_cast<double>(chains.count);
    for (double mean : m.means) m.between_mean += (mean - grand) * (mean - grand);
    m.between_mean /= static_cast<double>(chains.count - 1);
  }
  return m;
}

// var^+ of the paper: (draws - 1)/draws W + B/draws.
double PooledVariance(const Chains& chains, const Moments& m) {
  const auto draws = static_cast<double>(chains.draws);
  return (draws - 1) / draws * m.within + m.between_mean;
}

double RHat(const Chains& chains) {
  const Moments m = MomentsOf(chains);
  if (m.within <= 0) return m.between_mean > 0 ? INFINITY : 1;
  return std::sqrt(PooledVariance(chains, m) / m.within);
}

// Equations 10 to 13 there; Geyer's initial monotone sequence over pairs of lags.
double Ess(const Chains& chains) {
  const auto total = static_cast<double>(chains.count * chains.draws);
  const Moments m = MomentsOf(chains);
  const double variance = PooledVariance(chains, m);
  if (variance <= 0) return total;

  const auto correlation = [&](int64_t lag) {
    double covariance = 0;  // mean over chains of the autocovariance, divisor draws
    for (int64_t c = 0; c < chains.count; ++c) {
      const double* x = chains.chain(c);
      const double mean = m.means[c];
      double sum = 0;
      for (int64_t t = 0; t + lag < chains.draws; ++t) sum += (x[t] - mean) * (x[t + lag] - mean);
      covariance += sum / static_cast<double>(chains.draws) / static_cast<double>(chains.count);
    }
    return 1 - (m.within - covariance) / variance;
  };

  double time = -1;  // -1 + 2 * sum of the pairs' sums
  double smallest_pair = INFINITY;
  for (int64_t lag = 0; lag + 1 < chains.draws; lag += 2) {
    const double pair = (lag == 0 ? 1.0 : correlation(lag)) + correlation(lag + 1);
    if (pair <= 0) break;
    smallest_pair = std::min(smallest_pair, pair);
    time += 2 * smallest_pair;
  }
  // Antithetic chains may have more effective than real draws; the paper bounds that by S log10(S).
  time = std::max(time, 1 / std::log10(std::max(total, 10.0)));
  return total / time;
}

bool AllEqual(absl::Span<const float> values) {
  return std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
}

}  // namespace

double RankNormalisedRHat(int64_t chains, int64_t draws, absl::Span<const float> values) {
  if (chains < 1 || draws < 4 || AllEqual(values)) return 1;
  Chains bulk = Split(chains, draws, values);
  Chains tail = bulk;
  RankNormalise(bulk.values);
  Fold(tail.values);
  RankNormalise(tail.values);
  return std::max(RHat(bulk), RHat(tail));
}

double BulkEss(int64_t chains, int64_t draws, absl::Span<const float> values) {
  if (chains < 1 || draws < 4 || AllEqual(values)) return static_cast<double>(chains * draws);
  Chains bulk = Split(chains, draws, values);
  RankNormalise(bulk.values);
  return Ess(bulk);
}

double AutocorrelationTime(int64_t chains, int64_t draws, absl::Span<const float> values) {
  if (chains < 1 || draws < 4 || AllEqual(values)) return 1;
  Chains plain{chains, draws, std::vector<double>(values.begin(), values.end())};
  return std::max(1.0, static_cast<double>(chains * draws) / Ess(plain));
}

}  // namespace bif::attribution
