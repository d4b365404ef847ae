// Turns a checked graph (CheckGraph) into Code.
#pragma once

#include <c10/core/Device.h>

#include "absl/status/statusor.h"
#include "src/engine/program_file/graph.h"
#include "src/engine/program_file/signature.h"
#include "src/engine/torch/code.h"

namespace bif::engine {

// Code.inputs follows signature.inputs. Devices in the graph become `device`. Names that are
// unknown or defined twice, and arguments that no schema fits, are INVALID_ARGUMENT with the node.
absl::StatusOr<Code> CompileGraph(const Graph& graph, const Signature& signature,
                                  c10::Device device);

}  // namespace bif::engine
