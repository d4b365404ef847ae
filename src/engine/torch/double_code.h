// A program made to compute in double: what derivatives are checked against, and central
// differences are taken of.
#pragma once

#include <ATen/core/ivalue.h>

#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/torch/code.h"

namespace bif::engine {

// The same code with every literal dtype fp32 made double: `to(x, float32)` would round in between.
// UNIMPLEMENTED, with the node, if the program asks for a type that is narrower still.
absl::StatusOr<Code> CodeInDouble(const Code& code);

// A frame whose fp32 tensors are double. May throw c10::Error.
std::vector<c10::IValue> FrameInDouble(const std::vector<c10::IValue>& frame);

}  // namespace bif::engine
