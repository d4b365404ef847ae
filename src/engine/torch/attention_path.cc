#include "src/engine/torch/attention_path.h"

#include <ATen/Context.h>

namespace bif::engine {
namespace {

void UseFused(bool flash, bool efficient, bool cudnn) {
  at::globalContext().setSDPUseFlash(flash);
  at::globalContext().setSDPUseMemEfficient(efficient);
  at::globalContext().setSDPUseCuDNN(cudnn);
}

}  // namespace

AttentionPath::AttentionPath(bool plain)
    : flash_(at::globalContext().userEnabledFlashSDP()),
      efficient_(at::globalContext().userEnabledMemEfficientSDP()),
      cudnn_(at::globalContext().userEnabledCuDNNSDP()) {
  if (plain) UseFused(false, false, false);
}

AttentionPath::~AttentionPath() { UseFused(flash_, efficient_, cudnn_); }

}  // namespace bif::engine
