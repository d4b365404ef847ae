// What has to be done every few seconds, on a thread of its own: keeping what tenants have used,
// forgetting what is old. Each chore starts from what it finds, so one that fails is tried again at
// the next turn. Thread-safe.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace bif::jobs {

class Chores {
 public:
  using Chore = std::function<absl::Status()>;
  // Each is called once a period, and once more when it stops.
  Chores(absl::Duration period, std::vector<Chore> chores);
  ~Chores();  // stops

  // Joins. Repeating it is harmless.
  void Stop();

 private:
  void DoAll();

  const absl::Duration period_;
  const std::vector<Chore> chores_;
  absl::Notification stop_;
  absl::Mutex join_mutex_;  // guards joining thread_
  std::thread thread_;
};

}  // namespace bif::jobs
