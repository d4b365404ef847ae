// Propagation of absl::Status inside client/, which may not use src/base.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define BIF_CLIENT_CONCAT_INNER(a, b) a##b
#define BIF_CLIENT_CONCAT(a, b) BIF_CLIENT_CONCAT_INNER(a, b)

// Returns from the enclosing function if `expr`, an absl::Status, is not OK.
#define CLIENT_RETURN_IF_ERROR(expr) \
  CLIENT_RETURN_IF_ERROR_IMPL(BIF_CLIENT_CONCAT(client_status_, __COUNTER__), expr)
#define CLIENT_RETURN_IF_ERROR_IMPL(var, expr)            \
  do {                                                    \
    if (absl::Status var = (expr); !var.ok()) return var; \
  } while (false)

// CLIENT_ASSIGN_OR_RETURN(auto x, F()): x = *F(), or returns F's error.
#define CLIENT_ASSIGN_OR_RETURN(lhs, expr) \
  CLIENT_ASSIGN_OR_RETURN_IMPL(BIF_CLIENT_CONCAT(client_statusor_, __COUNTER__), lhs, expr)
#define CLIENT_ASSIGN_OR_RETURN_IMPL(var, lhs, expr) \
  auto var = (expr);                                 \
  if (!var.ok()) return std::move(var).status();     \
  lhs = *std::move(var)
