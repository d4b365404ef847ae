// The fake engine's mathematics: outputs, losses, gradients and observables of linear models. Pure
// but for `weights`.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"

namespace bif::testing {

// Training rows or queries in host memory.
struct FakeData : engine::ResidentRows {
  int64_t rows() const override { return static_cast<int64_t>(targets.size()); }
  int64_t token_losses(int64_t) const override { return 0; }
  int64_t dimensions = 0;
  std::vector<float> features;  // [rows, dimensions]
  std::vector<double> targets;  // numbers, or labels
  const float* Features(int64_t row) const { return features.data() + row * dimensions; }
};

struct FakeShape {
  int64_t dimensions = 0;
  int64_t classes = 0;  // 0: squared error, one output
  int64_t outputs() const { return classes > 0 ? classes : 1; }
  int64_t elements() const { return dimensions * outputs(); }
};

absl::StatusOr<double> FakeObservable(const FakeShape& shape, absl::Span<const float> weights,
                                      const FakeData& data, int64_t row,
                                      const engine::Observable& observable);

// Adds the loss's gradient with respect to the weights, times `scale`; gives the loss.
double AddFakeGradient(const FakeShape& shape, absl::Span<const float> weights,
                       const FakeData& data, int64_t row, double scale,
                       absl::Span<double> gradient);

}  // namespace bif::testing
