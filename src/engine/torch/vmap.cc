#include "src/engine/torch/vmap.h"

#include <ATen/ATen.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>

namespace bif::engine {

namespace ft = at::functorch;

Vmap::Vmap(int64_t size)
    : size_(size),
      level_(ft::initAndPushDynamicLayer(ft::TransformType::Vmap, c10::SymInt(size),
                                         ft::RandomnessType::Error)) {}

Vmap::~Vmap() { ft::popDynamicLayerAndDeleteMetadata(); }

at::Tensor Vmap::Wrap(const at::Tensor& stacked) const {
  return ft::makeBatched(stacked, 0, level_);
}

at::Tensor Vmap::Unwrap(const at::Tensor& result) const {
  const auto* batched = ft::maybeGetBatchedImpl(result);
  if (batched != nullptr && batched->level() == level_)
    return batched->value().movedim(batched->bdim(), 0);
  std::vector<int64_t> shape = result.sizes().vec();
  shape.insert(shape.begin(), size_);
  return result.unsqueeze(0).expand(shape);
}

}  // namespace bif::engine
