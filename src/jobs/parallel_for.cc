#include "src/jobs/parallel_for.h"

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace bif::jobs {
namespace {

// Outlives the call: a worker may look at it when the loop is over.
struct Loop {
  absl::Mutex mutex;  // guards all below
  size_t next ABSL_GUARDED_BY(mutex) = 0;
  size_t running ABSL_GUARDED_BY(mutex) = 0;
  absl::Status error ABSL_GUARDED_BY(mutex);
};

// `body` is touched only between taking an index and giving it back, and the caller waits for that.
void Work(Loop& loop, size_t count, int worker,
          const absl::FunctionRef<absl::Status(int, size_t)>* body) {
  while (true) {
    size_t i;
    {
      absl::MutexLock lock(&loop.mutex);
      if (loop.next >= count || !loop.error.ok()) return;
      i = loop.next++;
      ++loop.running;
    }
    absl::Status status = (*body)(worker, i);
    absl::MutexLock lock(&loop.mutex);
    --loop.running;
    loop.error.Update(status);
  }
}

}  // namespace

absl::Status ParallelFor(WorkerPool& pool, int threads, size_t count,
                         absl::FunctionRef<absl::Status(int worker, size_t i)> body) {
  auto loop = std::make_shared<Loop>();
  const auto* shared_body = &body;
  for (int worker = 1; worker < threads && static_cast<size_t>(worker) < count; ++worker) {
    // A full queue means fewer helpers.
    pool.Submit([loop, count, worker, shared_body] { Work(*loop, count, worker, shared_body); })
        .IgnoreError();
  }
  Work(*loop, count, 0, shared_body);
  absl::MutexLock lock(&loop->mutex);
  loop->next = count;  // after an error: no one may begin any more
  const auto idle = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(loop->mutex) { return loop->running == 0; };
  loop->mutex.Await(absl::Condition(&idle));
  return loop->error;
}

}  // namespace bif::jobs
