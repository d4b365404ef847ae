#include "src/engine/torch/catch_torch.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace bif::engine {
namespace {

absl::Status Exhausted(const std::string& context, absl::string_view what) {
  return absl::ResourceExhaustedError(
      absl::StrCat(context, ": out of memory; take a smaller batch or fewer chains (", what, ")"));
}

// LibTorch appends a C++ stack and hints; the first line says what happened.
absl::string_view FirstLine(absl::string_view message) {
  return message.substr(0, message.find('\n'));
}

}  // namespace

absl::Status CurrentExceptionToStatus(const std::string& context) {
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    return Exhausted(context, FirstLine(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const absl::string_view message = FirstLine(error.what_without_backtrace());
    // The CPU allocator has no exception type of its own.
    if (absl::StrContains(message, "not enough memory") ||
        absl::StrContains(message, "can't allocate memory")) {
      return Exhausted(context, message);
    }
    return absl::InternalError(absl::StrCat(context, ": ", message));
  } catch (const std::bad_alloc& error) {
    return Exhausted(context, error.what());
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(context, ": ", FirstLine(error.what())));
  } catch (...) {
    return absl::InternalError(absl::StrCat(context, ": an exception of unknown type"));
  }
}

}  // namespace bif::engine
