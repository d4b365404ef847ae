// The noise of sampler steps, made where the weights are: the Philox words of gaussian_noise.h as
// tensor operations, for weights on a GPU. The words are those of the host bit for bit; the normal
// numbers made of them agree to rounding.
//
// Thread-compatible.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/types/span.h"
#include "src/engine/philox.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

class DeviceNoise {
 public:
  DeviceNoise(const WeightLayout& layout, c10::Device device);

  // [streams, row_elements]: row i is the noise of stream i for a row of weights. Padding has some
  // number of the stream. Takes about 40 bytes of device memory an element meanwhile. May throw
  // c10::Error.
  at::Tensor Rows(absl::Span<const RandomBlocks> streams) const;

  // Whether that is faster than the host's noise and a copy: it is some 150 small kernels.
  static bool Pays(int64_t elements) { return elements >= (1 << 19); }

 private:
  at::Tensor blocks_;  // [blocks] of int64: the numbers of all blocks that a row needs
  at::Tensor places_;  // [row_elements] of int64: of each number, among the four a block
};

// The words of blocks as Philox makes them: four of [streams, blocks], int64 below 2^32.
std::vector<at::Tensor> PhiloxWords(absl::Span<const RandomBlocks> streams,
                                    const at::Tensor& blocks);

}  // namespace bif::engine
