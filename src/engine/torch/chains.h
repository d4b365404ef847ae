// The chains of one posterior: SGLD or RMSprop-SGLD on rows of weights, one by one or in batched
// calls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/engine/torch/evaluate.h"
#include "src/engine/torch/resident_rows.h"

namespace bif::engine {

// Fills in the noise of one step of a chain: standard normal numbers, in the order of a delta.
using NoiseOfStep = std::function<void(uint64_t step, absl::Span<float> noise)>;

// See Model::StartChains. `model` and `train` must outlive the group. `given_noise`, one a chain,
// replaces random noise: tests replay that of other implementations.
//
// With plan.batched_chains the group is one batched call a step, and the bits of a chain depend on
// how many chains the group has: resume with groups of the same size. One by one, they depend on
// nothing but the chain.
absl::StatusOr<std::unique_ptr<ChainGroup>> StartTorchChains(
    const LoadedProgram& model, const SamplerSettings& settings, const MovingSet& moving,
    const ExecutionPlan& plan, const TorchRows& train, uint32_t first_chain, uint32_t count,
    const std::vector<ChainSnapshot>& snapshots, std::vector<NoiseOfStep> given_noise = {});

}  // namespace bif::engine
