// A thread for what has to be done but nobody waits for: giving the bytes of deleted samples back.
//
// What is to be done follows from the catalog, so a crash loses nothing: the next start looks
// again. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "src/base/cancel.h"

namespace bif::jobs {

class Housekeeping {
 public:
  // `tidy` looks after one dataset, by id, until it is done or cancelled.
  using Tidy = std::function<absl::Status(const std::string& dataset, const CancelToken& cancel)>;
  explicit Housekeeping(Tidy tidy);
  ~Housekeeping();  // stops

  // Soon, in the background. What is scheduled again while it waits is done once.
  void Schedule(const std::string& dataset);
  // Blocks until nothing is left to do.
  void WaitUntilIdle();
  // Cancels what is being done and joins. Repeating it is harmless.
  void Stop();

 private:
  void Loop();
  // The next dataset, once there is one; nothing if it is to stop.
  std::optional<std::string> Next();
  void Done();

  const Tidy tidy_;
  CancelToken stop_;
  absl::Mutex mutex_;  // guards all below; not held while something is done
  std::set<std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex join_mutex_;  // guards joining thread_
  std::thread thread_;
};

}  // namespace bif::jobs
