// Which kernel scaled_dot_product_attention runs on.
//
// The fused kernel saves memory; for short sequences and small heads plain batched products can be
// twice as fast. LibTorch keeps the choice in globals of the process, so only the executor's thread
// may hold one of these.
#pragma once

namespace bif::engine {

// Plain batched products inside its life, if `plain`; else nothing changes.
class AttentionPath {
 public:
  explicit AttentionPath(bool plain);
  ~AttentionPath();
  AttentionPath(const AttentionPath&) = delete;
  AttentionPath& operator=(const AttentionPath&) = delete;

 private:
  bool flash_, efficient_, cudnn_;  // as they were
};

}  // namespace bif::engine
