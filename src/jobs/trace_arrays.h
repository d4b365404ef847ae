// Which numbers of one posterior are kept as traces, and under which array code
// (storage::TraceArray::array). The codes are stored on disk: never reuse one.
#pragma once

#include <cstdint>

#include "src/engine/engine.h"

namespace bif::jobs {

inline constexpr uint32_t kNoArray = 0;

// The traces of an observable that its kind, and with a classifier's logit its index, tell from all
// others: kind in the upper half, logit index in the lower. kNoArray for those with more fields:
// they are given a number each (src/jobs/observable_registry.h).
constexpr uint32_t ArrayCode(const engine::Observable& observable) {
  const uint32_t kind = static_cast<uint32_t>(observable.kind) << 16;
  switch (observable.kind) {
    case engine::ObservableKind::kLogit:
      return observable.position == 0 && observable.logit_index < 1u << 16
                 ? kind | observable.logit_index
                 : kNoArray;
    case engine::ObservableKind::kLogitDifference:
    case engine::ObservableKind::kSpanLoss:
    case engine::ObservableKind::kTokenProbability:
      return kNoArray;
    default:
      return kind;
  }
}

// Losses, what training rows are always recorded by: 0x0001'0000.
inline constexpr uint32_t kLossArray = ArrayCode({engine::ObservableKind::kLoss});

// Losses of tokens, a slot a token: 0x0064'0000.
inline constexpr uint32_t kTokenLossArray = ArrayCode({engine::ObservableKind::kTokenLosses});

// The first of the observables that have a number: 0x4000'0000 | number.
inline constexpr uint32_t kNumberedArrays = 0x4000'0000;

// Each training row's loss at w*: one number a slot, stored as chain 0, draw 0. Same slots as the
// loss traces.
inline constexpr uint32_t kAnchorLossArray = 0x8000'0000;

}  // namespace bif::jobs
