// Runs our kernels on LibTorch's own threads.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace bif::engine {

// Calls function(begin, end) for parts of [begin, end), each at least `grain` long, on the threads
// that LibTorch's operators use: a second pool would fight with them, since they spin between two
// operators. How the range is cut depends only on the number of threads.
void ParallelFor(int64_t begin, int64_t end, int64_t grain,
                 absl::FunctionRef<void(int64_t, int64_t)> function);

}  // namespace bif::engine
