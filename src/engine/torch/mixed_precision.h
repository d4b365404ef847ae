// Forward passes in bf16: matrix products and convolutions take bf16 copies of their operands, what
// is sensitive stays fp32. It is LibTorch's autocast, so the numbers are those of torch.autocast.
// The weights stay fp32, gradients arrive in fp32, and losses are computed in fp32.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "src/engine/sampler_settings.h"

namespace bif::engine {

struct ComputeChoice {
  ComputeType compute = ComputeType::kFp32;
  std::string reason;  // why that is not what was wanted; else empty
};

// bf16 only where the device has instructions for it: emulated, it is many times slower than fp32.
ComputeChoice ChooseCompute(ComputeType wanted, c10::Device device);

// Inside its life, operators that this thread calls run as above, if `compute` is bf16. It must end
// before the backward pass, which takes the types that the forward pass took.
class MixedPrecision {
 public:
  MixedPrecision(ComputeType compute, c10::Device device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  const bool active_;
  const c10::DeviceType device_;
};

}  // namespace bif::engine
