#include "src/attribution/layout.h"

#include <algorithm>
#include <cmath>

namespace bif::attribution {
namespace {

constexpr int64_t kTargetBlocks =
    20;  // 19 degrees of freedom: Student's t is 7 % above the normal quantile
constexpr int64_t kFewestBlocks = 4;

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::string_view CentringName(Centring centring) {
  switch (centring) {
    case Centring::kPooled:
      return "POOLED";
    case Centring::kWithinChain:
      return "WITHIN_CHAIN";
    case Centring::kChainMean:
      return "CHAIN_MEAN";
  }
  return "UNKNOWN";
}

TraceLayout MakeLayout(int64_t chains, int64_t draws, double autocorrelation_time) {
  TraceLayout layout{chains, draws, 1};
  if (chains < 1 || draws < 1) return layout;
  const int64_t wanted = CeilDivide(kTargetBlocks, chains);  // blocks a chain
  const int64_t fewest = CeilDivide(kFewestBlocks, chains);
  const double time = std::isfinite(autocorrelation_time) ? std::max(1.0, autocorrelation_time)
                                                          : static_cast<double>(draws);
  const auto long_enough = static_cast<int64_t>(static_cast<double>(draws) / time);
  const int64_t blocks =
      std::clamp<int64_t>(std::min(wanted, long_enough), std::min(fewest, draws), draws);
  layout.block_draws = draws / blocks;
  return layout;
}

BlockPlan MakePlan(const TraceLayout& layout, Centring centring) {
  const int64_t draws = layout.draws;
  const int64_t series = centring == Centring::kChainMean ? 1 : layout.chains;
  int64_t blocks = std::max<int64_t>(1, draws / std::max<int64_t>(1, layout.block_draws));
  if (centring == Centring::kChainMean) blocks = std::max(blocks, std::min(kFewestBlocks, draws));

  BlockPlan plan;
  plan.length = series * draws;
  plan.groups = centring == Centring::kWithinChain ? series : 1;
  plan.group_size = plan.length / plan.groups;
  for (int64_t chain = 0; chain < series; ++chain) {
    for (int64_t k = 0; k < blocks; ++k) {
      const int64_t begin = k * draws / blocks;
      const int64_t end = (k + 1) * draws / blocks;
      plan.blocks.push_back({chain * draws + begin, end - begin, plan.packed_length,
                             centring == Centring::kWithinChain ? chain : 0});
      plan.packed_length += CeilDivide(end - begin, kLanes) * kLanes;
    }
  }
  return plan;
}

}  // namespace bif::attribution
