#include "src/engine/torch/update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "src/engine/gaussian_noise.h"
#include "src/engine/torch/parallel.h"

namespace bif::engine {
namespace {

constexpr int64_t kPiece = 2048;  // elements of one task: small, so that threads get equal shares

struct Task {
  size_t update, range;
  int64_t begin, length;  // within the range
};

std::vector<Task> Tasks(const WeightLayout& layout, size_t updates) {
  std::vector<Task> tasks;
  for (size_t u = 0; u < updates; ++u) {
    for (size_t r = 0; r < layout.ranges.size(); ++r) {
      const int64_t elements = layout.ranges[r].elements;
      for (int64_t begin = 0; begin < elements; begin += kPiece) {
        tasks.push_back({u, r, begin, std::min(kPiece, elements - begin)});
      }
    }
  }
  return tasks;
}

absl::Span<float> Part(const at::Tensor& tensor, int64_t begin, int64_t length) {
  if (!tensor.defined()) return {};
  return absl::MakeSpan(tensor.mutable_data_ptr<float>() + begin, static_cast<size_t>(length));
}

bool Run(const Task& task, const StepRule& rule, const WeightLayout& layout,
         const at::Tensor& anchor_row, const ChainUpdate& update) {
  const WeightRange& range = layout.ranges[task.range];
  const int64_t offset = range.row_offset + task.begin;
  const absl::Span<float> gradient = Part(
      update.gradients[task.range], update.gradient_row * range.elements + task.begin, task.length);
  const absl::Span<float> anchor = Part(anchor_row, offset, task.length);
  const absl::Span<float> weights = Part(update.weights, offset, task.length);
  const absl::Span<float> second_moments = Part(update.second_moments, offset, task.length);
  if (update.given_noise.empty()) {
    return SamplerStepWithNoise(rule, update.noise, range.flat_position + task.begin, gradient,
                                anchor, weights, second_moments);
  }
  const absl::Span<const float> noise = update.given_noise.subspan(
      static_cast<size_t>(range.delta_begin + task.begin), static_cast<size_t>(task.length));
  return SamplerStep<float>(rule, gradient, anchor, noise, weights, second_moments);
}

std::vector<bool> OnHost(const StepRule& rule, const WeightLayout& layout,
                         const at::Tensor& anchor_row, absl::Span<const ChainUpdate> updates) {
  const std::vector<Task> tasks = Tasks(layout, updates.size());
  std::vector<char> finite_task(tasks.size(), 0);  // not vector<bool>: threads write neighbours
  ParallelFor(0, static_cast<int64_t>(tasks.size()), 8, [&](int64_t begin, int64_t end) {
    for (auto t = static_cast<size_t>(begin); t < static_cast<size_t>(end); ++t) {
      finite_task[t] = Run(tasks[t], rule, layout, anchor_row, updates[tasks[t].update]) ? 1 : 0;
    }
  });
  std::vector<bool> finite(updates.size(), true);
  for (size_t t = 0; t < tasks.size(); ++t) {
    if (finite_task[t] == 0) finite[tasks[t].update] = false;
  }
  return finite;
}

// A row of noise, made on the host.
at::Tensor HostNoise(const WeightLayout& layout, const ChainUpdate& update) {
  at::Tensor noise = at::zeros({layout.row_elements}, at::kFloat);
  if (!update.given_noise.empty()) {
    layout.Scatter(update.given_noise, noise);
    return noise;
  }
  for (const WeightRange& range : layout.ranges) {
    ParallelFor(0, range.elements, kPiece, [&](int64_t begin, int64_t end) {
      FillGaussianNoise(update.noise, range.flat_position + begin,
                        Part(noise, range.row_offset + begin, end - begin));
    });
  }
  return noise;
}

// Rows of noise for all updates, where the weights are.
at::Tensor Noise(const WeightLayout& layout, const DeviceNoise* device_noise, c10::Device device,
                 absl::Span<const ChainUpdate> updates) {
  const bool given = !updates[0].given_noise.empty();
  if (device_noise != nullptr && !given) {
    std::vector<RandomBlocks> streams;
    for (const ChainUpdate& update : updates) streams.push_back(update.noise);
    return device_noise->Rows(streams);
  }
  std::vector<at::Tensor> rows;
  for (const ChainUpdate& update : updates) rows.push_back(HostNoise(layout, update));
  return at::stack(rows).to(device);
}

// [chains of the call, row_elements]: the ranges side by side, zeros between them.
at::Tensor GradientRows(const WeightLayout& layout, absl::Span<const at::Tensor> gradients) {
  std::vector<at::Tensor> parts;
  int64_t filled = 0;
  const auto pad_to = [&](int64_t offset) {
    if (offset > filled) {
      parts.push_back(at::zeros({gradients[0].size(0), offset - filled}, gradients[0].options()));
    }
  };
  for (size_t r = 0; r < layout.ranges.size(); ++r) {
    pad_to(layout.ranges[r].row_offset);
    parts.push_back(gradients[r]);
    filled = layout.ranges[r].row_offset + layout.ranges[r].elements;
  }
  pad_to(layout.row_elements);
  return at::cat(parts, 1);
}

// The formulas of sampler_step.h as tensor operations.
std::vector<bool> OnDevice(const StepRule& rule, const WeightLayout& layout,
                           const at::Tensor& anchor_row, const DeviceNoise* device_noise,
                           absl::Span<const ChainUpdate> updates) {
  const at::Tensor noise = Noise(layout, device_noise, anchor_row.device(), updates);
  const at::Tensor gradients = GradientRows(layout, updates[0].gradients);
  std::vector<at::Tensor> finite;
  for (size_t u = 0; u < updates.size(); ++u) {
    const at::Tensor gradient = gradients[updates[u].gradient_row];
    at::Tensor w = updates[u].weights;
    at::Tensor drift =
        (w - anchor_row).mul_(rule.gamma).add_(w, rule.weight_decay).add_(gradient, rule.nbeta);
    at::Tensor spread =
        noise[static_cast<int64_t>(u)].mul_(std::sqrt(rule.step_size) * rule.noise_scale);
    if (rule.algorithm == Algorithm::kRmspropSgld) {
      at::Tensor v = updates[u].second_moments;
      v.mul_(rule.rms_decay).addcmul_(gradient, gradient, 1 - rule.rms_decay);
      const at::Tensor preconditioner = v.sqrt().add_(rule.rms_delta).reciprocal_();
      drift.mul_(preconditioner);
      spread.mul_(preconditioner.sqrt());
    }
    w.add_(spread).sub_(drift, rule.step_size / 2);
    if (rule.box) w.copy_(at::min(at::max(w, anchor_row - *rule.box), anchor_row + *rule.box));
    finite.push_back(w.isfinite().all());
  }
  const at::Tensor on_host = at::stack(finite).cpu();  // the one wait for the device
  const bool* flags = on_host.const_data_ptr<bool>();
  return std::vector<bool>(flags, flags + on_host.size(0));
}

}  // namespace

std::vector<bool> ApplySamplerStep(const StepRule& rule, const WeightLayout& layout,
                                   const at::Tensor& anchor_row, const DeviceNoise* device_noise,
                                   absl::Span<const ChainUpdate> updates) {
  if (updates.empty()) return {};
  if (anchor_row.is_cpu()) return OnHost(rule, layout, anchor_row, updates);
  return OnDevice(rule, layout, anchor_row, device_noise, updates);
}

}  // namespace bif::engine
