// Arithmetic on the plain numbers of a graph: sizes of tensors and what is computed from them, as
// Python computes it.
#pragma once

#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace bif::engine {

enum class SymbolicOp : uint8_t {
  kSize,
  kNumel,  // of a tensor
  kAdd,
  kSub,
  kMul,
  kFloorDiv,
  kMod,
  kPow,
  kTrueDiv,
  kNeg,
  kPos,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kAnd,
  kOr,
  kNot,
  kMin,
  kMax,
  kIte,
  kSqrt,
  kTrunc,
  kToFloat,
  kAssert,  // a number, and a message
};

// By the name that ResolveTarget gives: "mul", "sym_size".
std::optional<SymbolicOp> FindSymbolicOp(const std::string& name);
size_t OperandCount(SymbolicOp op);

// `operands` are OperandCount(op) tensors, integers, floats or truth values. Division by zero,
// overflow, operands of another type and a failed assertion are INVALID_ARGUMENT.
absl::StatusOr<c10::IValue> EvaluateSymbolic(SymbolicOp op,
                                             const std::vector<c10::IValue>& operands);

}  // namespace bif::engine
