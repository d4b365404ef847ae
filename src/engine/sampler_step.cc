#include "src/engine/sampler_step.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "src/engine/gaussian_noise.h"
#include "src/engine/kernel_clones.h"

namespace bif::engine {
namespace {

// The rule's numbers in the precision of the chain, with what is constant in the loops folded.
template <typename T>
struct Constants {
  T half_step, nbeta, weight_decay, gamma, noise, alpha, one_minus_alpha, delta, box;

  explicit Constants(const StepRule& rule)
      : half_step(static_cast<T>(rule.step_size / 2)),
        nbeta(static_cast<T>(rule.nbeta)),
        weight_decay(static_cast<T>(rule.weight_decay)),
        gamma(static_cast<T>(rule.gamma)),
        noise(static_cast<T>(std::sqrt(rule.step_size) * rule.noise_scale)),
        alpha(static_cast<T>(rule.rms_decay)),
        one_minus_alpha(static_cast<T>(1 - rule.rms_decay)),
        delta(static_cast<T>(rule.rms_delta)),
        box(rule.box ? static_cast<T>(*rule.box) : std::numeric_limits<T>::infinity()) {}
};

template <typename T>
BIF_ALWAYS_INLINE T Drift(const Constants<T>& k, T g, T w, T anchor) {
  return k.nbeta * g + k.weight_decay * w + k.gamma * (w - anchor);
}

// Comparisons are written so that a NaN stays a NaN.
template <typename T>
BIF_ALWAYS_INLINE T Clamp(const Constants<T>& k, T w, T anchor) {
  const T low = anchor - k.box, high = anchor + k.box;
  const T above = w < low ? low : w;
  return above > high ? high : above;
}

// 1 if the exponent is that of infinities and NaNs. Whole numbers, so that the loops' reduction
// vectorises.
template <typename T>
BIF_ALWAYS_INLINE uint32_t NotFinite(T x) {
  if constexpr (std::is_same_v<T, float>) {
    return (std::bit_cast<uint32_t>(x) & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  } else {
    return std::isfinite(x) ? 0u : 1u;
  }
}

template <typename T>
BIF_ALWAYS_INLINE uint32_t SgldLoop(const Constants<T>& k, int64_t n, const T* __restrict g,
                                    const T* __restrict anchor, const T* __restrict xi,
                                    T* __restrict w) {
  uint32_t bad = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T moved = w[i] + (k.noise * xi[i] - k.half_step * Drift(k, g[i], w[i], anchor[i]));
    w[i] = Clamp(k, moved, anchor[i]);
    bad |= NotFinite(w[i]);
  }
  return bad;
}

template <typename T>
BIF_ALWAYS_INLINE uint32_t RmspropLoop(const Constants<T>& k, int64_t n, const T* __restrict g,
                                       const T* __restrict anchor, const T* __restrict xi,
                                       T* __restrict w, T* __restrict v) {
  uint32_t bad = 0;
  for (int64_t i = 0; i < n; ++i) {
    v[i] = k.alpha * v[i] + k.one_minus_alpha * (g[i] * g[i]);
    const T preconditioner = T{1} / (std::sqrt(v[i]) + k.delta);
    const T moved = w[i] + (k.noise * std::sqrt(preconditioner) * xi[i] -
                            k.half_step * (preconditioner * Drift(k, g[i], w[i], anchor[i])));
    w[i] = Clamp(k, moved, anchor[i]);
    bad |= NotFinite(w[i]);
  }
  return bad;
}

// A template cannot be cloned for instruction sets, so the loops are inlined into functions that
// can.
BIF_KERNEL_CLONES uint32_t Sgld(const Constants<float>& k, int64_t n, const float* g,
                                const float* anchor, const float* xi, float* w) {
  return SgldLoop<float>(k, n, g, anchor, xi, w);
}
BIF_KERNEL_CLONES uint32_t Rmsprop(const Constants<float>& k, int64_t n, const float* g,
                                   const float* anchor, const float* xi, float* w, float* v) {
  return RmspropLoop<float>(k, n, g, anchor, xi, w, v);
}
uint32_t Sgld(const Constants<double>& k, int64_t n, const double* g, const double* anchor,
              const double* xi, double* w) {
  return SgldLoop<double>(k, n, g, anchor, xi, w);
}
uint32_t Rmsprop(const Constants<double>& k, int64_t n, const double* g, const double* anchor,
                 const double* xi, double* w, double* v) {
  return RmspropLoop<double>(k, n, g, anchor, xi, w, v);
}

constexpr size_t kPiece = 1024;  // elements: 4 KiB of noise

// Calls step(offset, length) for pieces of at most kPiece elements; the results are joined with or.
template <typename Function>
uint32_t ForPieces(size_t size, const Function& step) {
  uint32_t bad = 0;
  for (size_t offset = 0; offset < size; offset += kPiece)
    bad |= step(offset, std::min(kPiece, size - offset));
  return bad;
}

template <typename T>
uint32_t Apply(Algorithm algorithm, const Constants<T>& k, size_t offset, size_t length, const T* g,
               const T* anchor, const T* xi, T* w, T* v) {
  const auto n = static_cast<int64_t>(length);
  if (algorithm == Algorithm::kSgld) return Sgld(k, n, g + offset, anchor + offset, xi, w + offset);
  return Rmsprop(k, n, g + offset, anchor + offset, xi, w + offset, v + offset);
}

}  // namespace

StepRule StepRule::Of(const SamplerSettings& s) {
  return {s.algorithm,   s.step_size, s.nbeta,     s.gamma, s.weight_decay,
          s.noise_scale, s.rms_decay, s.rms_delta, s.box};
}

template <typename T>
bool SamplerStep(const StepRule& rule, absl::Span<const T> gradient, absl::Span<const T> anchor,
                 absl::Span<const T> noise, absl::Span<T> weights, absl::Span<T> second_moments) {
  const Constants<T> constants(rule);
  const std::array<T, kPiece> silence{};
  const uint32_t bad = ForPieces(weights.size(), [&](size_t offset, size_t length) {
    return Apply<T>(rule.algorithm, constants, offset, length, gradient.data(), anchor.data(),
                    noise.empty() ? silence.data() : noise.data() + offset, weights.data(),
                    second_moments.data());
  });
  return bad == 0;
}

template bool SamplerStep<float>(const StepRule&, absl::Span<const float>, absl::Span<const float>,
                                 absl::Span<const float>, absl::Span<float>, absl::Span<float>);
template bool SamplerStep<double>(const StepRule&, absl::Span<const double>,
                                  absl::Span<const double>, absl::Span<const double>,
                                  absl::Span<double>, absl::Span<double>);

bool SamplerStepWithNoise(const StepRule& rule, const RandomBlocks& noise, int64_t first_position,
                          absl::Span<const float> gradient, absl::Span<const float> anchor,
                          absl::Span<float> weights, absl::Span<float> second_moments) {
  const Constants<float> constants(rule);
  std::array<float, kPiece> xi{};
  const uint32_t bad = ForPieces(weights.size(), [&](size_t offset, size_t length) {
    if (rule.noise_scale != 0) {
      FillGaussianNoise(noise, first_position + static_cast<int64_t>(offset),
                        absl::MakeSpan(xi.data(), length));
    }
    return Apply<float>(rule.algorithm, constants, offset, length, gradient.data(), anchor.data(),
                        xi.data(), weights.data(), second_moments.data());
  });
  return bad == 0;
}

}  // namespace bif::engine
