// Whether an observable means something: to a program, and to one of its sequences. Pure functions;
// errors are field errors below "observable".
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "src/engine/engine.h"

namespace bif::jobs {

// Whether less of it is better, which decides what helps and what hurts.
inline bool IsLoss(const engine::Observable& observable) {
  return observable.kind == engine::ObservableKind::kLoss ||
         observable.kind == engine::ObservableKind::kSpanLoss;
}

absl::Status CheckObservable(const engine::Observable& observable, const engine::ProgramInfo& info);

// Whether losses of tokens can be kept: a field error of "granularity" if there are none.
absl::Status CheckGranularity(const engine::ProgramInfo& info);

// Whether a sequence of `tokens` tokens has the span or the position. `sample`: what to call it.
absl::Status CheckPositions(const engine::Observable& observable, int64_t tokens,
                            const std::string& sample);

}  // namespace bif::jobs
