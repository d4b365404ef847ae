// Shares a loop between the calling thread and workers. Safe on a worker thread too: what no worker
// takes up, the caller does itself, so nobody waits for a free worker.
#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "src/jobs/worker_pool.h"

namespace bif::jobs {

// Calls body(worker, i) for i in [0, count), each once, in no certain order; worker < threads is
// the same for calls on one thread. Returns the first error; after one, what has not begun is left
// out.
absl::Status ParallelFor(WorkerPool& pool, int threads, size_t count,
                         absl::FunctionRef<absl::Status(int worker, size_t i)> body);

}  // namespace bif::jobs
