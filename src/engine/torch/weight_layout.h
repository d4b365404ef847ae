// Where the moving parameters of a chain lie in its row of weights.
//
// Three numberings meet here: positions in the flat vector of all trainable parameters (noise is
// counted in them), positions in a delta (the moving elements only, dense), and offsets in a
// chain's row, where every parameter starts on a 64-byte boundary: the results of a matrix product
// may depend on alignment, so it must not depend on the chain.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"

namespace bif::engine {

struct WeightRange {
  size_t parameter = 0;  // index into ProgramInfo::parameters
  std::vector<int64_t> shape;
  int64_t elements = 0;
  int64_t flat_position = 0;  // of the first element, among all trainable elements
  int64_t delta_begin = 0;
  int64_t row_offset = 0;
};

struct WeightLayout {
  std::vector<WeightRange> ranges;
  int64_t delta_elements = 0;
  int64_t row_elements = 0;  // with padding

  // INVALID_ARGUMENT if the moving set does not belong to these parameters.
  static absl::StatusOr<WeightLayout> Of(const std::vector<ParameterInfo>& parameters,
                                         const MovingSet& moving);

  // rows: [row_elements] or [n, row_elements]. Views of shape `shape`, or [n, *shape].
  at::Tensor View(const at::Tensor& rows, const WeightRange& range) const;

  // The program's parameters with the moving ones taken from `rows` (see View), the others from
  // `anchor`.
  std::vector<at::Tensor> Parameters(absl::Span<const at::Tensor> anchor,
                                     const at::Tensor& rows) const;

  // A row that holds the moving parameters of `anchor`; padding is zero.
  at::Tensor Row(absl::Span<const at::Tensor> anchor) const;

  // Between a delta-ordered vector on the host and a row; `row` may be on any device.
  void Gather(const at::Tensor& row, absl::Span<float> dense) const;
  void Scatter(absl::Span<const float> dense, const at::Tensor& row) const;
  // row = the moving parameters of `anchor` + dense; an empty `dense` stands for zeros. Padding is
  // left as it is.
  void SetSum(absl::Span<const at::Tensor> anchor, absl::Span<const float> dense,
              const at::Tensor& row) const;
  // The same for the first rows of `rows`, [n, row_elements], one a delta; onto another device in
  // one copy.
  void SetSums(absl::Span<const at::Tensor> anchor, absl::Span<const absl::Span<const float>> dense,
               const at::Tensor& rows) const;
};

}  // namespace bif::engine
