#include "tests/support/fake_model.h"

#include <algorithm>
#include <cmath>

namespace bif::testing {
namespace {

std::vector<double> Outputs(const FakeShape& shape, absl::Span<const float> weights,
                            const float* features) {
  std::vector<double> outputs(shape.outputs(), 0);
  for (int64_t k = 0; k < shape.outputs(); ++k) {
    for (int64_t d = 0; d < shape.dimensions; ++d) {
      outputs[k] += static_cast<double>(weights[k * shape.dimensions + d]) * features[d];
    }
  }
  return outputs;
}

double LogSumExp(const std::vector<double>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

double Margin(const std::vector<double>& logits, int64_t label) {
  double other = -INFINITY;
  for (int64_t k = 0; k < static_cast<int64_t>(logits.size()); ++k) {
    if (k != label) other = std::max(other, logits[k]);
  }
  return logits[label] - other;
}

}  // namespace

absl::StatusOr<double> FakeObservable(const FakeShape& shape, absl::Span<const float> weights,
                                      const FakeData& data, int64_t row,
                                      const engine::Observable& observable) {
  const std::vector<double> outputs = Outputs(shape, weights, data.Features(row));
  const double target = data.targets[row];
  if (observable.kind == engine::ObservableKind::kLogit) {
    if (observable.logit_index >= outputs.size())
      return absl::InvalidArgumentError("there is no such logit");
    return outputs[observable.logit_index];
  }
  if (shape.classes == 0) {
    if (observable.kind != engine::ObservableKind::kLoss) {
      return absl::InvalidArgumentError("a program without logits has losses only");
    }
    return 0.5 * (outputs[0] - target) * (outputs[0] - target);
  }
  const auto label = static_cast<int64_t>(target);
  const double loss = LogSumExp(outputs) - outputs[label];
  switch (observable.kind) {
    case engine::ObservableKind::kCorrectProbability:
      return std::exp(-loss);
    case engine::ObservableKind::kMargin:
      return Margin(outputs, label);
    default:
      return loss;
  }
}

double AddFakeGradient(const FakeShape& shape, absl::Span<const float> weights,
                       const FakeData& data, int64_t row, double scale,
                       absl::Span<double> gradient) {
  const float* features = data.Features(row);
  std::vector<double> slope = Outputs(shape, weights, features);  // becomes d loss / d output
  const double target = data.targets[row];
  double loss = 0;
  if (shape.classes == 0) {
    slope[0] -= target;
    loss = 0.5 * slope[0] * slope[0];
  } else {
    const auto label = static_cast<int64_t>(target);
    const double log_sum = LogSumExp(slope);
    loss = log_sum - slope[label];
    for (double& s : slope) s = std::exp(s - log_sum);
    slope[label] -= 1;
  }
  for (int64_t k = 0; k < shape.outputs(); ++k) {
    for (int64_t d = 0; d < shape.dimensions; ++d)
      gradient[k * shape.dimensions + d] += scale * slope[k] * features[d];
  }
  return loss;
}

}  // namespace bif::testing
