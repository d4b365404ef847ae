// Which numbers of one posterior are kept as traces, and under which array code
// (storage::TraceArray::array). The codes are stored on disk: never reuse one.
#pragma once

#include <cstdint>

#include "src/engine/engine.h"

namespace bif::jobs {

// The traces of an observable: kind in the upper half, logit index in the lower. Loss is
// 0x0001'0000.
constexpr uint32_t ArrayCode(const engine::Observable& observable) {
  const bool logit = observable.kind == engine::ObservableKind::kLogit;
  return static_cast<uint32_t>(observable.kind) << 16 |
         (logit ? observable.logit_index & 0xffff : 0);
}

// Each training row's loss at w*: one number a slot, stored as chain 0, draw 0. Same slots as the
// loss traces.
inline constexpr uint32_t kAnchorLossArray = 0x8000'0000;

}  // namespace bif::jobs
