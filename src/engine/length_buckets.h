// Cuts rows of different lengths into calls, so that little of a call is padding.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace bif::engine {

// The rows, longest first (equal lengths in their order), cut into calls of at most `most_rows`
// rows that take at most `most_tokens` tokens when they are padded to the call's longest. A row
// that is longer than that has a call of its own. A limit of 0 is none.
std::vector<std::vector<uint32_t>> CutByLength(absl::Span<const uint32_t> rows,
                                               absl::FunctionRef<int64_t(uint32_t)> length,
                                               int64_t most_rows, int64_t most_tokens);

}  // namespace bif::engine
