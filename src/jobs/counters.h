// What the jobs have done since the daemon started, for metrics. All only rise. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

namespace bif::jobs {

struct Counters {
  std::atomic<uint64_t> sampling_steps{0};   // of one chain each
  std::atomic<uint64_t> draws_committed{0};  // of one chain each
  std::atomic<uint64_t> segments_committed{0};
  std::atomic<uint64_t> chains_diverged{0};
  std::atomic<uint64_t> training_rows_observed{0};  // rows times draws, by posterior jobs
  std::atomic<uint64_t> query_rows_observed{0};     // rows times draws, by queries and trace jobs
  std::atomic<uint64_t> query_rows_traced{0};       // rows that had no trace
  std::atomic<uint64_t> query_rows_stored{0};       // rows whose traces were found in the store
  std::atomic<uint64_t> operations_failed{0};
  std::atomic<uint64_t> draw_cache_hits{0};
  std::atomic<uint64_t> draw_cache_misses{0};
  std::atomic<uint64_t> scan_draws_loaded{0};  // by scans: read, decoded and given to the device
  std::atomic<uint64_t> scan_draws_served{0};  // the same, once for each batch of rows that used it
};

}  // namespace bif::jobs
