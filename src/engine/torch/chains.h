// The chains of one posterior: SGLD or RMSprop-SGLD on rows of weights, one by one or in batched
// calls.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// Fills in the noise of one step of a chain: standard normal numbers, in the order of a delta.
using NoiseOfStep = std::function<void(uint64_t step, absl::Span<float> noise)>;

// What rides along a chain needs to see of it. Rows are [row_elements] of the layout; those of a
// chain are the same tensors all the time, and Advance changes what is in them.
class TorchChainGroup : public ChainGroup {
 public:
  virtual const WeightLayout& layout() const = 0;
  virtual at::Tensor AnchorRow() const = 0;
  virtual at::Tensor Weights(size_t position) const = 0;
  // v of RMSprop-SGLD, after the steps that were taken; undefined with SGLD.
  virtual at::Tensor SecondMoments(size_t position) const = 0;
  // The rows of the batch of the chain's next step; valid until the next call.
  virtual absl::Span<const uint32_t> NextBatch(size_t position) = 0;
};

// See Model::StartChains. `model` and `train` must outlive the group. `given_noise`, one a chain,
// replaces random noise: tests replay that of other implementations.
//
// With plan.batched_chains the group is one batched call a step, and the bits of a chain depend on
// how many chains the group has: resume with groups of the same size. One by one, they depend on
// nothing but the chain.
absl::StatusOr<std::unique_ptr<TorchChainGroup>> StartTorchChains(
    const LoadedProgram& model, const SamplerSettings& settings, const MovingSet& moving,
    const ExecutionPlan& plan, const TorchRows& train, uint32_t first_chain, uint32_t count,
    const std::vector<ChainSnapshot>& snapshots, std::vector<NoiseOfStep> given_noise = {});

}  // namespace bif::engine
