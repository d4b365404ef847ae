// The estimators once more, in plain double precision and straight from their definitions: what
// tests compare with. Blocks are left out by copying the traces without them.
#pragma once

#include <cmath>
#include <vector>

#include "src/attribution/estimator.h"

namespace bif::attribution {

using Chain = std::vector<double>;

inline std::vector<Chain> ChainsOf(const TraceLayout& layout, const float* trace) {
  std::vector<Chain> chains;
  for (int64_t c = 0; c < layout.chains; ++c) {
    chains.emplace_back(trace + c * layout.draws, trace + (c + 1) * layout.draws);
  }
  return chains;
}

inline double MeanOf(const Chain& x) {
  double sum = 0;
  for (double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}

inline double CentredProducts(const Chain& x, const Chain& y) {
  if (x.empty()) return 0;
  const double x_mean = MeanOf(x);
  const double y_mean = MeanOf(y);
  double sum = 0;
  for (size_t t = 0; t < x.size(); ++t) sum += (x[t] - x_mean) * (y[t] - y_mean);
  return sum;
}

// One chain of averages over chains, as CHAIN_MEAN looks at it.
inline std::vector<Chain> AverageOf(const std::vector<Chain>& chains) {
  Chain average(chains[0].size(), 0.0);
  for (const Chain& chain : chains) {
    for (size_t t = 0; t < average.size(); ++t)
      average[t] += chain[t] / static_cast<double>(chains.size());
  }
  return {average};
}

inline std::vector<Chain> Joined(const std::vector<Chain>& chains) {
  Chain all;
  for (const Chain& chain : chains) all.insert(all.end(), chain.begin(), chain.end());
  return {all};
}

// Chains may differ in length here, since a block may be missing. CHAIN_MEAN: already averaged.
inline double ReferenceCovariance(Centring centring, std::vector<Chain> x, std::vector<Chain> y) {
  if (centring == Centring::kPooled) {
    x = Joined(x);
    y = Joined(y);
  }
  double products = 0;
  double divisor = 0;
  for (size_t c = 0; c < x.size(); ++c) {
    products += CentredProducts(x[c], y[c]);
    if (!x[c].empty()) divisor += static_cast<double>(x[c].size()) - 1;
  }
  return products / divisor;
}

inline double ReferenceEstimate(Estimator estimator, Centring centring, const std::vector<Chain>& x,
                                const std::vector<Chain>& y) {
  double value = ReferenceCovariance(centring, x, y);
  if (estimator == Estimator::kNormalizedBif || estimator == Estimator::kCorrelation) {
    value /= std::sqrt(ReferenceCovariance(centring, x, x) * ReferenceCovariance(centring, y, y));
  }
  return estimator == Estimator::kBif || estimator == Estimator::kNormalizedBif ? -value : value;
}

struct ReferenceScore {
  double score;
  double standard_error;
};

inline ReferenceScore ReferenceScoreOf(const TraceLayout& layout, Estimator estimator,
                                       Centring centring, const float* row, const float* query) {
  std::vector<Chain> x = ChainsOf(layout, row);
  std::vector<Chain> y = ChainsOf(layout, query);
  if (centring == Centring::kChainMean) {
    x = AverageOf(x);
    y = AverageOf(y);
  }
  const auto without = [&](std::vector<Chain> chains, const Block& block) {
    Chain& chain = chains[block.begin / layout.draws];
    const auto begin = chain.begin() + block.begin % layout.draws;
    chain.erase(begin, begin + block.size);
    return chains;
  };
  const BlockPlan plan = MakePlan(layout, centring);
  std::vector<double> leave_out;
  for (const Block& block : plan.blocks) {
    leave_out.push_back(
        ReferenceEstimate(estimator, centring, without(x, block), without(y, block)));
  }
  const double mean = MeanOf(leave_out);
  double squares = 0;
  for (double v : leave_out) squares += (v - mean) * (v - mean);
  const auto blocks = static_cast<double>(leave_out.size());
  return {ReferenceEstimate(estimator, centring, x, y), std::sqrt(squares * (blocks - 1) / blocks)};
}

}  // namespace bif::attribution
