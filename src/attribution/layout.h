// How a trace of C*T numbers falls into chains and into the blocks that the jackknife leaves out.
//
// Draws of a chain are autocorrelated, so error bars come from leaving out whole stretches of it
// (docs/attribution.md, "Error bars"). Plain values, thread-compatible.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace bif::attribution {

// The numbers are those of bif.v1.
enum class Centring : uint8_t { kPooled = 1, kWithinChain = 2, kChainMean = 3 };

std::string_view CentringName(Centring centring);  // "WITHIN_CHAIN"

struct TraceLayout {
  int64_t chains = 0;
  int64_t draws = 0;        // a chain
  int64_t block_draws = 0;  // least length of a block; a chain is cut as evenly as that allows
  int64_t values() const { return chains * draws; }
};

// Blocks at least `autocorrelation_time` draws long, about 20 in all where there are draws enough,
// and at least 4 in all (which wins over the length) where there are 4 draws.
TraceLayout MakeLayout(int64_t chains, int64_t draws, double autocorrelation_time);

// One block: consecutive positions in a series of numbers. Its copy in a packed row (row_kernel.h)
// begins at `packed`, and is filled with zeros up to a multiple of kLanes.
struct Block {
  int64_t begin = 0;
  int64_t size = 0;
  int64_t packed = 0;
  int64_t group = 0;
};

inline constexpr int64_t kLanes = 8;

// The series that an estimator looks at. POOLED and WITHIN_CHAIN look at all C*T values; CHAIN_MEAN
// first averages over chains and looks at T values. A group is what shares one mean: everything, or
// one chain.
struct BlockPlan {
  int64_t length = 0;         // numbers in the series
  int64_t packed_length = 0;  // of a packed row
  int64_t groups = 0;
  int64_t group_size = 0;
  std::vector<Block> blocks;  // in order of `begin`

  // Length of arrays over blocks, which the kernels handle kLanes at a time.
  int64_t padded_blocks() const {
    return (static_cast<int64_t>(blocks.size()) + kLanes - 1) / kLanes * kLanes;
  }
  // C*T - 1, C*(T-1) or T - 1: the divisors of the three centrings.
  int64_t divisor() const { return length - groups; }
};

// With CHAIN_MEAN a block is a stretch of t across all chains, and there are at least 4 of them
// where T >= 4.
BlockPlan MakePlan(const TraceLayout& layout, Centring centring);

}  // namespace bif::attribution
