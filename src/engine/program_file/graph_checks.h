// What a graph must not do, told by the node that does it: use an operator that is not allowed, be
// random, mix samples of a batch, or write into what outlives a run (parameters, buffers,
// constants, inputs).
#pragma once

#include "absl/status/status.h"
#include "src/engine/program_file/graph.h"
#include "src/engine/program_file/signature.h"

namespace bif::engine {

// INVALID_ARGUMENT names the node and its operator.
absl::Status CheckGraph(const Graph& graph, const Signature& signature);

// "node 'conv2d' (torch.ops.aten.conv2d.default)", for messages.
std::string NodeLabel(const Node& node);

// The argument of that name in the operator's schema, or nullptr if the node leaves it at its
// default.
const Argument* FindArgument(const Node& node, std::string_view name);

}  // namespace bif::engine
