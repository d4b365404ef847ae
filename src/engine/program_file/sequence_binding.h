// What a next-token program is bound to beside its inputs: the token column, the mask, and how long
// sequences may be.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "src/engine/program_file/program_layout.h"

namespace bif::engine {

// With the loss kNextToken and logits of three dimensions, the size that counts tokens; otherwise
// nothing.
std::optional<Dimension> TokenDimension(const ProgramSource& source, const TensorMeta& output);

// Checks source.sequence and the token column, and fills layout.sequence_limits, info.sequences and
// info.longest_sequence. `tokens` is the TokenDimension; inputs must have been bound. Field errors
// say "sequence.*", "target_column" or "inputs". Returns the columns that are wanted: the tokens,
// and the mask if there is one.
absl::StatusOr<std::vector<TensorSpec>> BindSequences(const ProgramFile& file,
                                                      const ProgramSource& source,
                                                      const Dimension& tokens,
                                                      ProgramLayout& layout);

}  // namespace bif::engine
