// Compiled with -fopenmp (see CMakeLists.txt): at::parallel_for is a header, and serial without it.
#include "src/engine/torch/parallel.h"

#include <ATen/Parallel.h>

#ifndef _OPENMP
#error "parallel.cc wants -fopenmp"
#endif

namespace bif::engine {

void ParallelFor(int64_t begin, int64_t end, int64_t grain,
                 absl::FunctionRef<void(int64_t, int64_t)> function) {
  at::parallel_for(begin, end, grain, [&](int64_t from, int64_t to) { function(from, to); });
}

}  // namespace bif::engine
