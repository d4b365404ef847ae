#include "src/engine/torch/mixed_precision.h"

#include <ATen/autocast_mode.h>
#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>

namespace bif::engine {
namespace {

bool HasBf16(c10::Device device) {
  if (device.is_cuda()) return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
  const auto capabilities = at::cpu::get_cpu_capabilities();
  for (const char* name : {"avx512_bf16", "amx_bf16"}) {
    const auto found = capabilities.find(name);
    if (found != capabilities.end() && found->second.isBool() && found->second.toBool())
      return true;
  }
  return false;
}

}  // namespace

ComputeChoice ChooseCompute(ComputeType wanted, c10::Device device) {
  if (wanted == ComputeType::kFp32 || HasBf16(device)) return {wanted, ""};
  return {ComputeType::kFp32, device.is_cuda() ? "this GPU has no bf16 instructions"
                                               : "this processor has no bf16 instructions"};
}

MixedPrecision::MixedPrecision(ComputeType compute, c10::Device device)
    : active_(compute == ComputeType::kBf16), device_(device.type()) {
  if (!active_) return;
  at::autocast::increment_nesting();
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
}

MixedPrecision::~MixedPrecision() {
  if (!active_) return;
  at::autocast::set_autocast_enabled(device_, false);
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

}  // namespace bif::engine
