// Lists what a graph holds: trainable parameters on one side, frozen parameters, buffers and
// constants on the other.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "src/engine/program_file/program_layout.h"

namespace bif::engine {

// Fills layout.parameters, layout.others and layout.info.parameters. Refuses trainable parameters
// that are not float32 and tensors whose stored form does not fit the graph.
absl::Status ListHeldTensors(const ProgramFile& file, ProgramLayout& layout);

}  // namespace bif::engine
