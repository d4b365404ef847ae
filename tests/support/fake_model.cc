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

double AddFakeGradient(const FakeShape& shape, absl::Span<const float> weights,
                       const FakeData& data, int64_t row, double scale,
                       absl::Span<double> gradient) {
  const int64_t begin = data.Begin(row);
  const std::vector<double> parts = Weights(data, begin, data.row_ends[row]);
  double loss = 0;
  for (int64_t at = begin; at < data.row_ends[row]; ++at) {
    const double part = parts[at - begin];
    const float* features = data.Features(at);
    std::vector<double> slope = Outputs(shape, weights, features);  // becomes d loss / d output
    loss += part * Loss(shape, slope, data.targets[at]);
    if (shape.classes == 0) {
      slope[0] -= data.targets[at];
    } else {
      const double log_sum = LogSumExp(slope);
      for (double& s : slope) s = std::exp(s - log_sum);
      slope[static_cast<int64_t>(data.targets[at])] -= 1;
    }
    for (int64_t k = 0; k < shape.outputs(); ++k) {
      for (int64_t d = 0; d < shape.dimensions; ++d)
        gradient[k * shape.dimensions + d] += scale * part * slope[k] * features[d];
    }
  }
  return loss;
}

}  // namespace bif::testing
