// Binds a graph's inputs and first output to dataset columns, as a ProgramSource says.
#pragma once

#include "absl/status/status.h"
#include "src/engine/program_file/program_layout.h"

namespace bif::engine {

// Fills layout.inputs, layout.info.columns and layout.info.classes; with the loss kNextToken also
// what BindSequences (sequence_binding.h) fills.
absl::Status BindColumns(const ProgramFile& file, const ProgramSource& source,
                         ProgramLayout& layout);

}  // namespace bif::engine
