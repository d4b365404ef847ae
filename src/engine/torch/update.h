// Applies one sampler step to the weights of one or several chains on the device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/engine/sampler_step.h"
#include "src/engine/torch/device_noise.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// One chain's part of an update. Rows are [row_elements] of WeightLayout; `second_moments` is
// undefined with SGLD.
struct ChainUpdate {
  at::Tensor weights;
  at::Tensor second_moments;
  // One a moving range, [chains, elements], contiguous; this chain's are in row `gradient_row`.
  absl::Span<const at::Tensor> gradients;
  int64_t gradient_row = 0;
  RandomBlocks noise;
  // Standard normal numbers in the order of a delta, instead of those of `noise`; empty: none.
  absl::Span<const float> given_noise = {};
};

// finite[i]: whether all weights of updates[i] are finite afterwards. On a CPU noise and update are
// one pass over the weights, cut into pieces that depend on nothing but the layout; the bits do not
// depend on the number of threads. On a GPU it is tensor operations; the noise comes from
// `device_noise`, or is made on the host where that is nullptr. All gradients are those of one
// call. May throw c10::Error.
std::vector<bool> ApplySamplerStep(const StepRule& rule, const WeightLayout& layout,
                                   const at::Tensor& anchor_row, const DeviceNoise* device_noise,
                                   absl::Span<const ChainUpdate> updates);

}  // namespace bif::engine
