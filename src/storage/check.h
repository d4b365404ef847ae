// What a check of stored bytes has seen and found so far, and the rate at which it may read. A
// check reads everything once and goes on behind what is damaged.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"

namespace bif::storage {

// Something that cannot be read as it was written. Sentences for people.
struct Damage {
  std::string object;   // its name: "draw 12 of chain 0 of posteriors/84c2a21ae4b7"
  std::string problem;  // what is wrong with it, and in which file
  std::string advice;   // what to do
};

struct CheckSummary {
  int64_t objects =
      0;              // tables, records, tiles, blocks, draws, states and blobs that were looked at
  int64_t bytes = 0;  // that were read
  int64_t damaged = 0;  // of the objects
};

struct CheckOptions {
  int64_t bytes_per_second = 0;  // on average; 0: as fast as the disk gives them
  CancelToken cancel;
  std::function<void(const Damage&)> on_damage;          // may be empty
  std::function<void(const CheckSummary&)> on_progress;  // now and then; may be empty
};

// Thread-compatible. Callbacks come on the thread that checks.
class CheckRun {
 public:
  explicit CheckRun(const CheckOptions& options);

  // An object of so many bytes has been read. Waits as long as the rate demands; CANCELLED once the
  // token says so.
  absl::Status Looked(int64_t bytes);
  // The object that was looked at last, or part of it, is damaged.
  void Found(const Damage& damage);

  const CheckSummary& summary() const { return summary_; }

 private:
  const CheckOptions& options_;
  const absl::Time started_;
  CheckSummary summary_;
};

}  // namespace bif::storage
