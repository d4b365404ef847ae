// No exception leaves src/engine/torch: CatchTorch turns what LibTorch throws into a Status.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bif::engine {

// The status of the exception that is being handled; call it in a catch block only. Out of memory
// (host or device) is RESOURCE_EXHAUSTED, everything else INTERNAL; `context` and ": " stand before
// the first line of the message.
absl::Status CurrentExceptionToStatus(const std::string& context);

// Runs `function`, which returns an absl::Status or an absl::StatusOr, and returns what it returns,
// or the status of what it threw. `context` says what was being done: a string, or a function that
// makes one (called only on failure).
template <typename Context, typename Function>
auto CatchTorch(Context&& context, Function&& function) -> std::invoke_result_t<Function> {
  try {
    return std::forward<Function>(function)();
  } catch (...) {
    if constexpr (std::is_invocable_v<Context>) {
      return CurrentExceptionToStatus(context());
    } else {
      return CurrentExceptionToStatus(context);
    }
  }
}

}  // namespace bif::engine
