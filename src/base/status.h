// Helpers around absl::Status: propagation macros, and errors that carry the path of the field at
// fault.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define BIF_CONCAT_INNER(a, b) a##b
#define BIF_CONCAT(a, b) BIF_CONCAT_INNER(a, b)

// Returns from the enclosing function if `expr`, an absl::Status, is not OK.
#define BIF_RETURN_IF_ERROR(expr)                                              \
  do {                                                                         \
    if (absl::Status bif_status = (expr); !bif_status.ok()) return bif_status; \
  } while (false)

// BIF_ASSIGN_OR_RETURN(auto x, F()): x = *F(), or returns F's error.
#define BIF_ASSIGN_OR_RETURN(lhs, expr) \
  BIF_ASSIGN_OR_RETURN_IMPL(BIF_CONCAT(bif_statusor_, __LINE__), lhs, expr)
#define BIF_ASSIGN_OR_RETURN_IMPL(var, lhs, expr) \
  auto var = (expr);                              \
  if (!var.ok()) return std::move(var).status();  \
  lhs = *std::move(var)

namespace bif {

// INVALID_ARGUMENT about one field of a request, e.g. FieldError("settings.nbeta", "must be above
// 0, is -1"). The server turns the path into BadRequest.field_violations.
absl::Status FieldError(std::string_view field_path, std::string_view message);

// The path that FieldError put into a status, if there is one.
std::optional<std::string> FieldPath(const absl::Status& status);

// A machine-readable reason (UPPER_SNAKE_CASE), for ErrorInfo.reason; any status may carry one.
absl::Status WithReason(absl::Status status, std::string_view reason);
std::optional<std::string> Reason(const absl::Status& status);

// The same status with `context` and ": " before its message. Payloads stay.
absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace bif
