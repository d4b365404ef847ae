#include "server/call_registry.h"

#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "src/observe/log.h"

namespace bif::server {

CallRegistry::CallRegistry(observe::Metrics& metrics, size_t max_live)
    : metrics_(metrics),
      max_live_(max_live),
      live_calls_(metrics.GetGauge("bif_calls_live", "Calls that are being answered")) {}

void CallRegistry::StartDraining() {
  std::vector<std::function<void()>> hooks;
  {
    absl::MutexLock lock(&mutex_);
    if (draining_) return;
    draining_ = true;
    for (const LiveCall* call : calls_) {
      if (call->on_drain_) hooks.push_back(call->on_drain_);
    }
  }
  for (const auto& hook : hooks) hook();  // not under the lock: it may end calls
}

void CallRegistry::CancelAll() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (LiveCall* call : calls_) call->Cancel();
}

void CallRegistry::AwaitEnd(absl::Duration at_most) {
  absl::MutexLock lock(&mutex_);
  const auto over = [this] {
    mutex_.AssertReaderHeld();
    return calls_.empty() || cancelled_;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&over), at_most);
}

absl::Status CallRegistry::Admit() const {
  absl::MutexLock lock(&mutex_);
  if (draining_) return absl::UnavailableError("the server is stopping; ask again when it is back");
  if (calls_.size() > max_live_)
    return absl::ResourceExhaustedError("too many calls are open; end some, or ask again later");
  return absl::OkStatus();
}

size_t CallRegistry::live() const {
  absl::MutexLock lock(&mutex_);
  return calls_.size();
}

LiveCall::LiveCall(CallRegistry& registry, std::string method, std::function<void()> on_drain)
    : registry_(registry),
      method_(std::move(method)),
      on_drain_(std::move(on_drain)),
      start_(absl::Now()) {
  absl::MutexLock lock(&registry_.mutex_);
  registry_.calls_.insert(this);
  registry_.live_calls_.Add(1);
}

LiveCall::~LiveCall() {
  absl::MutexLock lock(&registry_.mutex_);
  registry_.calls_.erase(this);
  registry_.live_calls_.Add(-1);
}

void LiveCall::RecordEnd(const absl::Status& status) {
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start_);
  const std::string code = absl::StatusCodeToString(status.code());
  registry_.metrics_
      .GetCounter("bif_requests_total", "Calls that were answered",
                  {{"method", method_}, {"code", code}})
      .Add();
  registry_.metrics_
      .GetHistogram("bif_request_seconds", "Time from a call's arrival to its end",
                    observe::LatencyBuckets(), {{"method", method_}})
      .Observe(seconds);
  if (status.ok()) {
    observe::LogDebug("call answered", {{"method", method_}, {"seconds", seconds}});
  } else {
    observe::LogInfo("call refused", {{"method", method_},
                                      {"code", code},
                                      {"error", std::string(status.message())},
                                      {"seconds", seconds}});
  }
}

}  // namespace bif::server
