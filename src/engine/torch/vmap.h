// Batched calls: inside the life of a Vmap, operators treat wrapped tensors as `size` tensors at
// once (functorch's vmap).
//
// Everything runs on the calling thread and must be left in the order of a stack, which scopes do.
// The object pops its layer when it dies, also when an exception passes.
#pragma once

#include <ATen/core/Tensor.h>

namespace bif::engine {

class Vmap {
 public:
  explicit Vmap(int64_t size);
  ~Vmap();
  Vmap(const Vmap&) = delete;
  Vmap& operator=(const Vmap&) = delete;

  // [size, ...] as `size` tensors of shape [...].
  at::Tensor Wrap(const at::Tensor& stacked) const;
  // Back to [size, ...]; a result that no wrapped tensor went into is repeated.
  at::Tensor Unwrap(const at::Tensor& result) const;

 private:
  int64_t size_;
  int64_t level_;
};

}  // namespace bif::engine
