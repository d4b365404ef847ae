#include "tests/support/fake_model.h"

#include <algorithm>
#include <cmath>

namespace bif::testing {
namespace {

using engine::Observable;
using engine::ObservableKind;

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

double Loss(const FakeShape& shape, const std::vector<double>& outputs, double target) {
  if (shape.classes == 0) return 0.5 * (outputs[0] - target) * (outputs[0] - target);
  return LogSumExp(outputs) - outputs[static_cast<int64_t>(target)];
}

double Margin(const std::vector<double>& logits, int64_t label) {
  double other = -INFINITY;
  for (int64_t k = 0; k < static_cast<int64_t>(logits.size()); ++k) {
    if (k != label) other = std::max(other, logits[k]);
  }
  return logits[label] - other;
}

// How much the loss of a case weighs in that of its row.
std::vector<double> Weights(const FakeData& data, int64_t begin, int64_t end) {
  std::vector<double> weights;
  double counted = 0;
  for (int64_t at = begin; at < end; ++at) counted += data.counts[at] ? 1 : 0;
  const double each = data.reduction == engine::TokenReduction::kMean ? 1 / counted : 1;
  for (int64_t at = begin; at < end; ++at) weights.push_back(data.counts[at] ? each : 0);
  return weights;
}

}  // namespace

float FakeTokenFeature(int64_t token, int64_t k) {
  return static_cast<float>(std::cos(0.7 * static_cast<double>((k + 1) * (token + 1))));
}

absl::StatusOr<std::vector<double>> FakeObservable(const FakeShape& shape,
                                                   absl::Span<const float> weights,
                                                   const FakeData& data, int64_t row,
                                                   const Observable& observable) {
  const auto outputs_at = [&](int64_t at) { return Outputs(shape, weights, data.Features(at)); };
  const auto loss_at = [&](int64_t at) { return Loss(shape, outputs_at(at), data.targets[at]); };
  int64_t begin = data.Begin(row);
  int64_t end = data.row_ends[row];
  const int64_t at = begin + std::max<int64_t>(1, observable.position) - 1;
  if (at >= end) return absl::InvalidArgumentError("there is no such position");
  std::vector<double> losses;
  switch (observable.kind) {
    case ObservableKind::kLogit:
    case ObservableKind::kLogitDifference: {
      const std::vector<double> outputs = outputs_at(at);
      const bool difference = observable.kind == ObservableKind::kLogitDifference;
      if (std::max(observable.logit_index, observable.other_logit_index) >= outputs.size())
        return absl::InvalidArgumentError("there is no such logit");
      return std::vector<double>{outputs[observable.logit_index] -
                                 (difference ? outputs[observable.other_logit_index] : 0)};
    }
    case ObservableKind::kTokenLosses:
      for (int64_t i = begin; i < end; ++i) losses.push_back(data.counts[i] ? loss_at(i) : 0);
      return losses;
    case ObservableKind::kSpanLoss:
      if (observable.span_end != 0) end = begin + observable.span_end - 1;
      begin += observable.span_begin - 1;
      if (begin >= end || end > data.row_ends[row])
        return absl::InvalidArgumentError("there is no such span");
      [[fallthrough]];
    case ObservableKind::kLoss: {
      const std::vector<double> parts = Weights(data, begin, end);
      double loss = 0;
      for (int64_t i = begin; i < end; ++i) loss += parts[i - begin] * loss_at(i);
      return std::vector<double>{loss};
    }
    default:
      break;
  }
  if (shape.classes == 0)
    return absl::InvalidArgumentError("a program without logits has losses only");
  if (observable.kind == ObservableKind::kMargin)
    return std::vector<double>{Margin(outputs_at(at), static_cast<int64_t>(data.targets[at]))};
  return std::vector<double>{std::exp(-loss_at(at))};
}

namespace {

// Adds scale * slope[k] * features to the k-th output's weights.
void AddOutputs(const FakeShape& shape, const std::vector<double>& slope, const float* features,
                double scale, absl::Span<double> gradient) {
  for (int64_t k = 0; k < shape.outputs(); ++k) {
    for (int64_t d = 0; d < shape.dimensions; ++d)
      gradient[k * shape.dimensions + d] += scale * slope[k] * features[d];
  }
}

// d loss / d output, of a case. `outputs` become it.
void ToLossSlope(const FakeShape& shape, double target, std::vector<double>& outputs) {
  if (shape.classes == 0) {
    outputs[0] -= target;
    return;
  }
  const double log_sum = LogSumExp(outputs);
  for (double& s : outputs) s = std::exp(s - log_sum);
  outputs[static_cast<int64_t>(target)] -= 1;
}

// Of the losses of some cases; gives their weighted sum.
double AddCases(const FakeShape& shape, absl::Span<const float> weights, const FakeData& data,
                int64_t begin, int64_t end, double scale, absl::Span<double> gradient) {
  const std::vector<double> parts = Weights(data, begin, end);
  double loss = 0;
  for (int64_t at = begin; at < end; ++at) {
    const double part = parts[at - begin];
    std::vector<double> slope = Outputs(shape, weights, data.Features(at));
    loss += part * Loss(shape, slope, data.targets[at]);
    ToLossSlope(shape, data.targets[at], slope);
    AddOutputs(shape, slope, data.Features(at), scale * part, gradient);
  }
  return loss;
}

}  // namespace

double AddFakeGradient(const FakeShape& shape, absl::Span<const float> weights,
                       const FakeData& data, int64_t row, double scale,
                       absl::Span<double> gradient) {
  return AddCases(shape, weights, data, data.Begin(row), data.row_ends[row], scale, gradient);
}

absl::Status AddFakeObservableGradient(const FakeShape& shape, absl::Span<const float> weights,
                                       const FakeData& data, int64_t row,
                                       const Observable& observable, absl::Span<double> gradient) {
  // All that can be wrong with the observable.
  if (const auto value = FakeObservable(shape, weights, data, row, observable); !value.ok())
    return value.status();
  int64_t begin = data.Begin(row);
  int64_t end = data.row_ends[row];
  const int64_t at = begin + std::max<int64_t>(1, observable.position) - 1;
  std::vector<double> slope(shape.outputs(), 0);
  switch (observable.kind) {
    case ObservableKind::kLogitDifference:
      slope[observable.other_logit_index] -= 1;
      [[fallthrough]];
    case ObservableKind::kLogit:
      slope[observable.logit_index] += 1;
      break;
    case ObservableKind::kSpanLoss:
      if (observable.span_end != 0) end = begin + observable.span_end - 1;
      begin += observable.span_begin - 1;
      [[fallthrough]];
    case ObservableKind::kLoss:
      AddCases(shape, weights, data, begin, end, 1, gradient);
      return absl::OkStatus();
    case ObservableKind::kMargin: {
      const std::vector<double> logits = Outputs(shape, weights, data.Features(at));
      const auto label = static_cast<int64_t>(data.targets[at]);
      int64_t best = label == 0 ? 1 : 0;
      for (int64_t k = 0; k < shape.classes; ++k) {
        if (k != label && logits[k] > logits[best]) best = k;
      }
      slope[label] += 1;
      slope[best] -= 1;
      break;
    }
    default: {  // probabilities: exp(-loss)
      slope = Outputs(shape, weights, data.Features(at));
      const double probability = std::exp(-Loss(shape, slope, data.targets[at]));
      ToLossSlope(shape, data.targets[at], slope);
      for (double& s : slope) s *= -probability;
    }
  }
  AddOutputs(shape, slope, data.Features(at), 1, gradient);
  return absl::OkStatus();
}

void AddFakeHessianProduct(const FakeShape& shape, absl::Span<const float> weights,
                           const FakeData& data, int64_t row, absl::Span<const double> vector,
                           double scale, absl::Span<double> product) {
  const int64_t begin = data.Begin(row);
  const std::vector<double> parts = Weights(data, begin, data.row_ends[row]);
  for (int64_t at = begin; at < data.row_ends[row]; ++at) {
    const float* features = data.Features(at);
    // How the outputs change along the vector, and then how their slopes do.
    std::vector<double> along(shape.outputs(), 0);
    for (int64_t k = 0; k < shape.outputs(); ++k) {
      for (int64_t d = 0; d < shape.dimensions; ++d)
        along[k] += vector[k * shape.dimensions + d] * features[d];
    }
    if (shape.classes > 0) {
      std::vector<double> p = Outputs(shape, weights, features);
      const double log_sum = LogSumExp(p);
      double mean = 0;
      for (int64_t k = 0; k < shape.classes; ++k) {
        p[k] = std::exp(p[k] - log_sum);
        mean += p[k] * along[k];
      }
      for (int64_t k = 0; k < shape.classes; ++k) along[k] = p[k] * (along[k] - mean);
    }
    AddOutputs(shape, along, features, scale * parts[at - begin], product);
  }
}

}  // namespace bif::testing
