// Shares a loop between the calling thread and workers. Safe on a worker thread too: what no worker
// takes up, the caller does itself, so nobody waits for a free worker.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/status.h"
#include "src/jobs/worker_pool.h"

namespace bif::jobs {

// Calls body(worker, i) for i in [0, count), each once, in no certain order; worker < threads is
// the same for calls on one thread. Returns the first error; after one, what has not begun is left
// out.
absl::Status ParallelFor(WorkerPool& pool, int threads, size_t count,
                         absl::FunctionRef<absl::Status(int worker, size_t i)> body);

// Makes `count` results as ParallelFor does and hands them on in order, on the calling thread. A
// few results a thread are held at a time.
template <typename Result>
absl::Status ParallelInOrder(WorkerPool& pool, int threads, size_t count,
                             absl::FunctionRef<absl::StatusOr<Result>(int worker, size_t i)> make,
                             absl::FunctionRef<absl::Status(const Result&)> use) {
  constexpr size_t kHeldByThread = 4;
  std::vector<Result> results(kHeldByThread * static_cast<size_t>(std::max(1, threads)));
  for (size_t begin = 0; begin < count; begin += results.size()) {
    const size_t held = std::min(results.size(), count - begin);
    BIF_RETURN_IF_ERROR(ParallelFor(pool, threads, held, [&](int worker, size_t i) -> absl::Status {
      BIF_ASSIGN_OR_RETURN(results[i], make(worker, begin + i));
      return absl::OkStatus();
    }));
    for (size_t i = 0; i < held; ++i) BIF_RETURN_IF_ERROR(use(results[i]));
  }
  return absl::OkStatus();
}

}  // namespace bif::jobs
