// Runs Code, one boxed dispatcher call a node.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/torch/code.h"

namespace bif::engine {

// `frame` has code.slots entries, those of code.inputs filled; it is used up. Values are let go at
// their last use. What a node throws is INTERNAL with the node and the shapes of its arguments, or
// RESOURCE_EXHAUSTED.
absl::StatusOr<at::Tensor> RunCode(const Code& code, std::vector<c10::IValue> frame);

// What a program's output is made of: input * weight^T + bias, or `input` itself where weight is
// undefined. `bias` may be undefined in any case.
struct LinearHead {
  at::Tensor input, weight, bias;
};

// Everything but code.last_linear; without one, RunCode as a head without a weight.
absl::StatusOr<LinearHead> RunCodeToHead(const Code& code, std::vector<c10::IValue> frame);

}  // namespace bif::engine
