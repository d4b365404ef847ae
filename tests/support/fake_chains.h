// Chains of the fake engine: the real sampler's kernels, noise and batch orders on closed-form
// gradients.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "src/engine/batch_order.h"
#include "src/engine/engine.h"
#include "src/engine/philox.h"
#include "tests/support/fake_engine.h"
#include "tests/support/fake_model.h"

namespace bif::testing {

class FakeChains : public engine::ChainGroup {
 public:
  // `positions`: of each moving element in the flat vector of all parameters. `train` must outlive
  // the chains.
  FakeChains(std::shared_ptr<FakeEngineHooks> hooks, const FakeShape& shape,
             std::vector<float> anchor, std::vector<int64_t> positions,
             const engine::SamplerSettings& settings, const FakeData& train, uint32_t first_chain,
             uint32_t count);

  absl::Status Restore(const std::vector<engine::ChainSnapshot>& snapshots);

  uint64_t step() const override { return step_; }
  absl::StatusOr<std::vector<engine::ChainReport>> Advance(uint64_t steps) override;
  absl::Status ReadDelta(size_t position, absl::Span<float> delta) override;
  absl::StatusOr<engine::ChainSnapshot> Snapshot(size_t position) override;

  // What tangents look at.
  const FakeShape& shape() const { return shape_; }
  const engine::SamplerSettings& settings() const { return settings_; }
  const FakeData& train() const { return train_; }
  uint32_t index(size_t position) const { return chains_[position].index; }
  const std::vector<int64_t>& positions() const { return positions_; }
  const std::vector<float>& moving_anchor() const { return moving_anchor_; }
  std::vector<float> AllWeights(size_t position) const;  // those that do not move, too
  const std::vector<float>& moving_weights(size_t position) const {
    return chains_[position].weights;
  }
  const std::vector<float>& second_moments(size_t position) const {
    return chains_[position].second_moments;
  }
  absl::Span<const uint32_t> NextBatch(size_t position) {
    return chains_[position].batches.Batch(step_);
  }

 private:
  struct Chain {
    uint32_t index;
    std::vector<float> weights;  // of the moving elements
    std::vector<float> second_moments;
    engine::BatchOrderOf batches;
    std::string reason;  // why it diverged
  };

  // The batch's mean loss before the step.
  double Step(Chain& chain, uint64_t step);
  // Stretches of consecutive positions, as the noise of an element depends on its position.
  bool StepRanges(Chain& chain, const std::vector<float>& gradient,
                  const engine::RandomBlocks& noise);

  const std::shared_ptr<FakeEngineHooks> hooks_;
  const FakeShape shape_;
  const std::vector<float> anchor_;
  const std::vector<int64_t> positions_;
  std::vector<float> moving_anchor_;
  const engine::SamplerSettings settings_;
  const FakeData& train_;
  std::vector<Chain> chains_;
  uint64_t step_ = 0;
};

}  // namespace bif::testing
