// The calls that are being answered. Every reactor holds a LiveCall from its first moment to its
// OnDone: so the server knows whom to cancel when it stops, refuses new calls while it drains, and
// counts and times every call in one place.
//
// Thread-safe.
#pragma once

#include <functional>
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
  // `metrics` must outlive the registry. No more than `max_live` calls are admitted at a time.
  CallRegistry(observe::Metrics& metrics, size_t max_live);

  // From now on Admit refuses. Calls that do nothing but wait are told to end; the others go on.
  void StartDraining();
  // Sets the cancel token of every live call, and ends AwaitEnd.
  void CancelAll();
  // Waits until no call lives, or CancelAll has been called, or the time is over.
  void AwaitEnd(absl::Duration at_most);
  // For a call that has its LiveCall: UNAVAILABLE while draining, RESOURCE_EXHAUSTED if too many
  // live. Queues bound the calls that wait for a thread; this bounds those that wait for their
  // client, as an upload does that never sends anything.
  absl::Status Admit() const;
  size_t live() const;

 private:
  friend class LiveCall;
  observe::Metrics& metrics_;
  const size_t max_live_;
  observe::Gauge live_calls_;
  mutable absl::Mutex mutex_;  // guards who lives and whether the server drains
  absl::flat_hash_set<LiveCall*> calls_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// One call. Owned by its reactor; must not outlive the registry.
class LiveCall {
 public:
  // `method` like "bif.v1.Datasets/GetSample".
  // `on_drain` is for calls that would otherwise wait for what no longer comes. It is called at
  // most once, on any thread, and perhaps after the call's end: it must own what it uses.
  LiveCall(CallRegistry& registry, std::string method, std::function<void()> on_drain = {});
  ~LiveCall();
  LiveCall(const LiveCall&) = delete;
  LiveCall& operator=(const LiveCall&) = delete;

  const std::string& method() const { return method_; }
  const CancelToken& cancel() const { return cancel_; }
  void Cancel() { cancel_.Cancel(); }

  // Counts and logs how the call ended. To be called once, just before Finish.
  void RecordEnd(const absl::Status& status);

 private:
  friend class CallRegistry;
  CallRegistry& registry_;
  const std::string method_;
  const std::function<void()> on_drain_;
  const absl::Time start_;
  CancelToken cancel_;
};

}  // namespace bif::server
