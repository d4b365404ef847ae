// What SIGHUP and Admin.Reload do: take from a configuration that was read again what can change
// while the daemon runs, and say what has to wait for a restart.
#pragma once

#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/config.h"

namespace bif::server {

// Thread-safe.
class Reloader {
 public:
  // `reread` gives the command line and the file as they are now; called by one thread at a time.
  Reloader(DaemonConfig running, std::function<CommandLine()> reread);

  // What differs from the running configuration; what needs no restart is applied. A mistake in
  // what was read leaves everything as it is: FAILED_PRECONDITION says where it is. All of it is
  // logged.
  absl::StatusOr<std::vector<ConfigChange>> Reload();

  DaemonConfig running() const;

 private:
  const std::function<CommandLine()> reread_;
  mutable absl::Mutex mutex_;  // one reload at a time
  DaemonConfig running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace bif::server
