#include "src/engine/torch/weight_layout.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace bif::engine {
namespace {

constexpr int64_t kAlignment = 16;  // floats: 64 bytes

// LibTorch has no tensor over constant memory; the result is only read.
at::Tensor HostTensor(const float* data, int64_t elements) {
  return at::from_blob(const_cast<float*>(data), {elements}, at::kFloat);
}

}  // namespace

absl::StatusOr<WeightLayout> WeightLayout::Of(const std::vector<ParameterInfo>& parameters,
                                              const MovingSet& moving) {
  std::vector<int64_t> flat_positions;
  int64_t flat = 0;
  for (const ParameterInfo& parameter : parameters) {
    flat_positions.push_back(flat);
    flat += parameter.elements;
  }
  WeightLayout layout;
  for (const MovingRange& range : moving.ranges) {
    const bool known =
        range.parameter >= 0 && range.parameter < static_cast<int64_t>(parameters.size());
    if (!known || range.begin != layout.delta_elements ||
        range.elements != parameters[static_cast<size_t>(range.parameter)].elements) {
      return absl::InvalidArgumentError(
          absl::StrCat("the moving set was made for another program: its range of parameter ",
                       range.parameter, " with ", range.elements, " elements does not fit"));
    }
    const auto index = static_cast<size_t>(range.parameter);
    layout.ranges.push_back({index, parameters[index].shape, range.elements, flat_positions[index],
                             range.begin, layout.row_elements});
    layout.delta_elements += range.elements;
    layout.row_elements += (range.elements + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (layout.delta_elements != moving.elements || moving.elements == 0) {
    return absl::InvalidArgumentError("the moving set is empty or damaged");
  }
  return layout;
}

at::Tensor WeightLayout::View(const at::Tensor& rows, const WeightRange& range) const {
  const int64_t last = rows.dim() - 1;
  std::vector<int64_t> shape = range.shape;
  if (rows.dim() == 2) shape.insert(shape.begin(), rows.size(0));
  return rows.narrow(last, range.row_offset, range.elements).view(shape);
}

std::vector<at::Tensor> WeightLayout::Parameters(absl::Span<const at::Tensor> anchor,
                                                 const at::Tensor& rows) const {
  std::vector<at::Tensor> parameters(anchor.begin(), anchor.end());
  for (const WeightRange& range : ranges) parameters[range.parameter] = View(rows, range);
  return parameters;
}

at::Tensor WeightLayout::Row(absl::Span<const at::Tensor> anchor) const {
  at::Tensor row =
      at::zeros({row_elements}, anchor[0].options().dtype(at::kFloat).requires_grad(false));
  for (const WeightRange& range : ranges) View(row, range).copy_(anchor[range.parameter]);
  return row;
}

void WeightLayout::Gather(const at::Tensor& row, absl::Span<float> dense) const {
  const at::Tensor host = row.cpu();
  const float* data = host.const_data_ptr<float>();
  for (const WeightRange& range : ranges) {
    std::copy_n(data + range.row_offset, range.elements, dense.begin() + range.delta_begin);
  }
}

void WeightLayout::Scatter(absl::Span<const float> dense, const at::Tensor& row) const {
  for (const WeightRange& range : ranges) {
    row.narrow(0, range.row_offset, range.elements)
        .copy_(HostTensor(dense.data() + range.delta_begin, range.elements));
  }
}

void WeightLayout::SetSum(absl::Span<const at::Tensor> anchor, absl::Span<const float> dense,
                          const at::Tensor& row) const {
  for (const WeightRange& range : ranges) {
    at::Tensor sum = row.narrow(0, range.row_offset, range.elements);
    const at::Tensor from = anchor[range.parameter].view({range.elements});
    if (dense.empty()) {
      sum.copy_(from);
    } else {
      const at::Tensor host = HostTensor(dense.data() + range.delta_begin, range.elements);
      at::add_out(sum, from, row.is_cpu() ? host : host.to(row.device()));
    }
  }
}

void WeightLayout::SetSums(absl::Span<const at::Tensor> anchor,
                           absl::Span<const absl::Span<const float>> dense,
                           const at::Tensor& rows) const {
  const auto count = static_cast<int64_t>(dense.size());
  if (rows.is_cpu()) {
    for (int64_t i = 0; i < count; ++i) SetSum(anchor, dense[static_cast<size_t>(i)], rows[i]);
    return;
  }
  const at::Tensor host = at::zeros({count, delta_elements}, at::kFloat);
  float* to = host.mutable_data_ptr<float>();
  for (const absl::Span<const float> delta : dense) {
    std::copy(delta.begin(), delta.end(), to);
    to += delta_elements;
  }
  const at::Tensor deltas = host.to(rows.device());
  for (const WeightRange& range : ranges) {
    at::Tensor sum = rows.narrow(0, 0, count).narrow(1, range.row_offset, range.elements);
    at::add_out(sum, deltas.narrow(1, range.delta_begin, range.elements),
                anchor[range.parameter].view({range.elements}));
  }
}

}  // namespace bif::engine
