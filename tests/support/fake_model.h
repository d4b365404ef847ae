// The fake engine's mathematics: outputs, losses, gradients and observables of linear models. Pure
// but for `weights`.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"

namespace bif::testing {

// Training rows or queries in host memory. A row is one case, features and target; a sequence as
// many as it has tokens with a loss: the features are those of the token before, the target is the
// token itself.
struct FakeData : engine::ResidentRows {
  int64_t rows() const override { return static_cast<int64_t>(row_ends.size()); }
  int64_t token_losses(int64_t row) const override { return sequences ? Cases(row) : 0; }
  int64_t dimensions = 0;
  std::vector<float> features;    // [cases, dimensions]
  std::vector<double> targets;    // a case: numbers, or labels
  std::vector<bool> counts;       // a case: not hidden by a mask
  std::vector<int64_t> row_ends;  // cases
  bool sequences = false;
  engine::TokenReduction reduction = engine::TokenReduction::kMean;

  int64_t Begin(int64_t row) const { return row == 0 ? 0 : row_ends[row - 1]; }
  int64_t Cases(int64_t row) const { return row_ends[row] - Begin(row); }
  const float* Features(int64_t at) const { return features.data() + at * dimensions; }
};

struct FakeShape {
  int64_t dimensions = 0;
  int64_t classes = 0;  // 0: squared error, one output
  int64_t outputs() const { return classes > 0 ? classes : 1; }
  int64_t elements() const { return dimensions * outputs(); }
};

// What a token looks like to the token after it: feature k is cos(0.7 (k + 1) (token + 1)).
float FakeTokenFeature(int64_t token, int64_t k);

// One number; with kTokenLosses token_losses(row) of them.
absl::StatusOr<std::vector<double>> FakeObservable(const FakeShape& shape,
                                                   absl::Span<const float> weights,
                                                   const FakeData& data, int64_t row,
                                                   const engine::Observable& observable);

// Adds the loss's gradient with respect to the weights, times `scale`; gives the loss.
double AddFakeGradient(const FakeShape& shape, absl::Span<const float> weights,
                       const FakeData& data, int64_t row, double scale,
                       absl::Span<double> gradient);

// Adds the observable's gradient. Of all kinds but kTokenLosses.
absl::Status AddFakeObservableGradient(const FakeShape& shape, absl::Span<const float> weights,
                                       const FakeData& data, int64_t row,
                                       const engine::Observable& observable,
                                       absl::Span<double> gradient);

// Adds the product of the loss's Hessian with `vector`, times `scale`.
void AddFakeHessianProduct(const FakeShape& shape, absl::Span<const float> weights,
                           const FakeData& data, int64_t row, absl::Span<const double> vector,
                           double scale, absl::Span<double> product);

}  // namespace bif::testing
