// For threads that must go on whatever a library, or memory that has run out, throws at them.
#pragma once

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace bif {

// Runs `function`, which returns an absl::Status or an absl::StatusOr, and returns what it returns,
// or the status of what it threw: RESOURCE_EXHAUSTED for memory, INTERNAL for all else.
template <typename Function>
auto CatchExceptions(Function&& function) -> std::invoke_result_t<Function> {
  try {
    return std::forward<Function>(function)();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("an exception: ", error.what()));
  } catch (...) {
    return absl::InternalError("an exception of unknown type");
  }
}

}  // namespace bif
