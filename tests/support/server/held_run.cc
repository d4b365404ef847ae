#include "tests/support/server/held_run.h"

#include <stdexcept>

namespace bif::server::testing {

HeldDevice::HeldDevice(TestServer& server) {
  server.engine().hooks().on_advance = [gate = gate_](int64_t call) {
    if (call == 1) gate->arrived.Notify();
    gate->release.WaitForNotification();
    return absl::OkStatus();
  };
}

void HeldDevice::Release() {
  if (!gate_->release.HasBeenNotified()) gate_->release.Notify();
}

HeldRun::HeldRun(TestServer& server)
    : server_(server), request_(PosteriorRequest(server, 8)), device_(server) {
  operation_ = StartPosterior(server, request_);
}

std::unique_ptr<Reading> HeldRun::Watch(v1::WatchOperationResponse& change) {
  AwaitArrival();
  v1::WatchOperationRequest watch;
  watch.set_name(operation_);
  auto stream = server_.Read("bif.v1.OperationWatcher/WatchOperation", watch);
  if (!stream->Next(change)) throw std::runtime_error("the watch told nothing");
  return stream;
}

}  // namespace bif::server::testing
