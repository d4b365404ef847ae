// One step of a sampler on a stretch of one chain's weights.
//
//   d  = nbeta*g + lambda*w + gamma*(w - w*)                       g: gradient of the batch's mean
//   loss SGLD           w += -eps/2 * d   + sqrt(eps) * sigma * xi       arXiv 2509.26544,
//   Algorithm 1 RMSprop-SGLD   v  = alpha*v + (1 - alpha)*g*g,  G = 1/(sqrt(v) + delta)
//                  w += -eps/2 * G*d + sqrt(eps*G) * sigma * xi     arXiv 1512.07666, without the
//                  divergence of G
//
// and then, with a box, w is clamped to [w* - box, w* + box]. Every element is on its own, so any
// cut of a vector into stretches gives the same bits. Thread-safe for stretches that do not
// overlap.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "src/engine/philox.h"
#include "src/engine/sampler_settings.h"

namespace bif::engine {

// The numbers of SamplerSettings that a step needs.
struct StepRule {
  Algorithm algorithm = Algorithm::kSgld;
  double step_size = 0, nbeta = 0, gamma = 0, weight_decay = 0;
  double noise_scale = 1, rms_decay = 0.99, rms_delta = 0.1;
  std::optional<double> box;

  static StepRule Of(const SamplerSettings& settings);
};

// All spans have the length of `weights`; `noise` may be empty if noise_scale is 0,
// `second_moments` with SGLD. True if all weights are finite afterwards. T is float or double.
template <typename T>
[[nodiscard]] bool SamplerStep(const StepRule& rule, absl::Span<const T> gradient,
                               absl::Span<const T> anchor, absl::Span<const T> noise,
                               absl::Span<T> weights, absl::Span<T> second_moments);

// The same with the noise of positions [first_position, first_position + weights.size()) of
// `noise`, which is made piece by piece and stays in the first-level cache.
[[nodiscard]] bool SamplerStepWithNoise(const StepRule& rule, const RandomBlocks& noise,
                                        int64_t first_position, absl::Span<const float> gradient,
                                        absl::Span<const float> anchor, absl::Span<float> weights,
                                        absl::Span<float> second_moments);

}  // namespace bif::engine
