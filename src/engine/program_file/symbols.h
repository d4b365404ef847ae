// The sizes in a graph that are no numbers: symbols, and what range they may have.
#pragma once

#include <optional>

#include "src/engine/program_file/program_file.h"

namespace bif::engine {

// What the size may be: a number, or the range of a symbol. Nothing if it is an expression of
// symbols, such as "2*s77". A maximum beyond 2^31 is none (-1).
std::optional<SymbolRange> RangeOf(const ProgramFile& file, const Dimension& dimension);

// Whether two sizes are the same number or the same expression.
bool SameSize(const Dimension& a, const Dimension& b);

}  // namespace bif::engine
