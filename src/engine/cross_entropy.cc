#include "src/engine/cross_entropy.h"

#include <algorithm>
#include <array>

#include "src/engine/kernel_clones.h"
#include "src/engine/vector_math.h"

namespace bif::engine {
namespace {

constexpr int64_t kRows = 16;  // side by side: a vector of AVX-512

// `exponentials` holds the logits, [classes, kRows], and gets exp(x - max).
BIF_KERNEL_CLONES void LossesOfColumns(int64_t classes, float* __restrict exponentials,
                                       const float* __restrict label_logits, float* __restrict sums,
                                       float* __restrict losses) {
  float largest[kRows];
  for (int64_t i = 0; i < kRows; ++i) largest[i] = exponentials[i];
  for (int64_t c = 1; c < classes; ++c) {
    const float* x = exponentials + c * kRows;
    for (int64_t i = 0; i < kRows; ++i) largest[i] = x[i] > largest[i] ? x[i] : largest[i];
  }
  float sum[kRows] = {};
  for (int64_t c = 0; c < classes; ++c) {
    float* x = exponentials + c * kRows;
    for (int64_t i = 0; i < kRows; ++i) {
      x[i] = ExponentialOfNegative(x[i] - largest[i]);
      sum[i] += x[i];
    }
  }
  for (int64_t i = 0; i < kRows; ++i) {
    sums[i] = sum[i];
    const float log = sum[i] > 0 ? NaturalLog(sum[i]) : sum[i];  // a NaN stays one
    losses[i] = log + (largest[i] - label_logits[i]);
  }
}

}  // namespace

void CrossEntropy(const float* logits, int64_t classes, absl::Span<const int64_t> labels,
                  float scale, absl::Span<float> losses, absl::Span<float> gradients) {
  std::array<float, kMostClasses * kRows> columns;
  std::array<float, kRows> label_logits, sums, found;
  const auto rows = static_cast<int64_t>(labels.size());
  for (int64_t first = 0; first < rows; first += kRows) {
    const int64_t count = std::min(kRows, rows - first);
    const float* x = logits + first * classes;
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t row = std::min(i, count - 1);  // the last row fills up the last vector
      for (int64_t c = 0; c < classes; ++c) columns[c * kRows + i] = x[row * classes + c];
      label_logits[i] = x[row * classes + labels[first + row]];
    }
    LossesOfColumns(classes, columns.data(), label_logits.data(), sums.data(), found.data());
    std::copy_n(found.begin(), count, losses.begin() + first);
    if (gradients.empty()) continue;
    for (int64_t i = 0; i < count; ++i) {
      float* gradient = gradients.data() + (first + i) * classes;
      const float factor = scale / sums[i];
      for (int64_t c = 0; c < classes; ++c) gradient[c] = columns[c * kRows + i] * factor;
      gradient[labels[first + i]] -= scale;
    }
  }
}

}  // namespace bif::engine
