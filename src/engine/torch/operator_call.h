// Makes the instruction that calls one aten operator.
#pragma once

#include <c10/core/Device.h>

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "src/engine/program_file/graph.h"
#include "src/engine/program_file/operator_allow_list.h"
#include "src/engine/torch/code.h"

namespace bif::engine {

// What a graph's value is: enough to know which conversions it needs.
struct Value {
  Slot slot = kNoSlot;
  bool is_tensor = true;  // else a number
};
using Scope = std::map<std::string, Value, std::less<>>;

// The instruction without results and label. Looks the operator up, matches the node's arguments
// with its schema by name and converts literals. INVALID_ARGUMENT if the operator is unknown to
// this LibTorch, has `out` arguments, or an argument does not fit; the caller adds the node.
absl::StatusOr<Instruction> PrepareCall(const Node& node, const OperatorName& target,
                                        const Scope& scope, c10::Device device);

}  // namespace bif::engine
