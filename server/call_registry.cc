#include "server/call_registry.h"

#include "absl/time/clock.h"
#include "src/observe/log.h"

namespace bif::server {

void CallRegistry::StartDraining() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
}

void CallRegistry::CancelAll() {
  absl::MutexLock lock(&mutex_);
  for (LiveCall* call : calls_) call->Cancel();
}

absl::Status CallRegistry::Admit() const {
  absl::MutexLock lock(&mutex_);
  if (draining_) return absl::UnavailableError("the server is stopping; ask again when it is back");
  return absl::OkStatus();
}

size_t CallRegistry::live() const {
  absl::MutexLock lock(&mutex_);
  return calls_.size();
}

LiveCall::LiveCall(CallRegistry& registry, std::string method)
    : registry_(registry), method_(std::move(method)), start_(absl::Now()) {
  absl::MutexLock lock(&registry_.mutex_);
  registry_.calls_.insert(this);
}

LiveCall::~LiveCall() {
  absl::MutexLock lock(&registry_.mutex_);
  registry_.calls_.erase(this);
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
