// Stored draws as numbers: decoded, and kept as long as they are asked for more often than others
// (src/jobs/admission_cache.h).
//
// A query looks at every draw of a posterior, so whoever is about to, prefetches the next few: a
// worker decodes while the device thread evaluates. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "src/jobs/admission_cache.h"
#include "src/jobs/counters.h"
#include "src/jobs/lru_cache.h"
#include "src/jobs/worker_pool.h"
#include "src/storage/store.h"

namespace bif::jobs {

// One draw of one chain of a posterior, by the posterior's number.
struct DrawPlace {
  uint64_t posterior = 0;
  uint32_t chain = 0;
  uint32_t draw = 0;

  friend bool operator==(const DrawPlace&, const DrawPlace&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const DrawPlace& p) {
    return H::combine(std::move(h), p.posterior, p.chain, p.draw);
  }
};

class DrawReader {
 public:
  // w - w* of the moving elements.
  using Delta = std::shared_ptr<const std::vector<float>>;

  // `workers` may be nullptr: then nothing is prefetched. All must outlive the reader, and the
  // workers be drained first.
  DrawReader(storage::Store& store, WorkerPool* workers, Counters& counters, int64_t cache_bytes);

  // DATA_LOSS if the draw is damaged or does not have `elements` numbers, NOT_FOUND if it is not
  // there.
  absl::StatusOr<Delta> Read(const DrawPlace& place, int64_t elements, CacheUse use);

  // Decodes these in the background, unless that has begun. Errors show when they are read.
  void Prefetch(std::vector<DrawPlace> places, int64_t elements);

  void ForgetPosterior(uint64_t posterior);
  int64_t cached_bytes() const { return cache_.bytes(); }

 private:
  absl::StatusOr<Delta> Decode(const DrawPlace& place, int64_t elements);
  // Whether the caller is to decode it now; then Release must follow.
  bool Claim(const DrawPlace& place);
  void Release(const DrawPlace& place);

  storage::Store& store_;
  WorkerPool* workers_;
  Counters& counters_;
  struct Fingerprint {
    uint64_t operator()(const DrawPlace& p) const {
      return (p.posterior << 40) ^ (uint64_t{p.chain} << 24) ^ p.draw;
    }
  };
  AdmissionCache<DrawPlace, Delta, Fingerprint> cache_;
  LruCache<DrawPlace, Delta> ready_;  // prefetched and not read yet
  absl::Mutex mutex_;                 // guards decoding_: no draw is decoded twice at the same time
  absl::flat_hash_set<DrawPlace> decoding_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::jobs
