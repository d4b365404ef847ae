// The calls that are being answered. Every reactor holds a LiveCall from its first moment to its
// OnDone: so the server knows whom to cancel when it stops, refuses new calls while it drains, and
// counts and times every call in one place.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"
#include "src/observe/metrics.h"

namespace bif::server {

class LiveCall;

class CallRegistry {
 public:
  // `metrics` must outlive the registry.
  explicit CallRegistry(observe::Metrics& metrics) : metrics_(metrics) {}

  // From now on Admit refuses. Calls that live go on.
  void StartDraining();
  // Sets the cancel token of every live call.
  void CancelAll();
  // UNAVAILABLE while draining.
  absl::Status Admit() const;
  size_t live() const;

 private:
  friend class LiveCall;
  observe::Metrics& metrics_;
  mutable absl::Mutex mutex_;  // guards who lives and whether the server drains
  absl::flat_hash_set<LiveCall*> calls_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

// One call. Owned by its reactor; must not outlive the registry.
class LiveCall {
 public:
  // `method` like "bif.v1.Datasets/GetSample".
  LiveCall(CallRegistry& registry, std::string method);
  ~LiveCall();
  LiveCall(const LiveCall&) = delete;
  LiveCall& operator=(const LiveCall&) = delete;

  const std::string& method() const { return method_; }
  const CancelToken& cancel() const { return cancel_; }
  void Cancel() { cancel_.Cancel(); }

  // Counts and logs how the call ended. To be called once, just before Finish.
  void RecordEnd(const absl::Status& status);

 private:
  CallRegistry& registry_;
  const std::string method_;
  const absl::Time start_;
  CancelToken cancel_;
};

}  // namespace bif::server
